// Loads compiled firmware into MicroPython's WebAssembly port, whose objects have 32 bits like those of an ESP32,
// lets it start, and prints how much heap it takes, as JSON. Usage: node footprint.mjs MICROPYTHON.mjs FOLDER SECONDS
// Folder: everything for the import path, as .mpy or .py files.

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [interpreter, folder, seconds] = process.argv.slice(2);
const { loadMicroPython } = await import(pathToFileURL(path.resolve(interpreter)));
const printed = [];
const python = await loadMicroPython({ heapsize: 1 << 20, stdout: (line) => printed.push(line) });

function copy(from, to) {
    python.FS.mkdir(to);
    for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
        const [source, target] = [path.join(from, entry.name), `${to}/${entry.name}`];
        if (entry.isDirectory()) copy(source, target);
        else python.FS.writeFile(target, fs.readFileSync(source));
    }
}

const settle = () => new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000));

function step(name, code) {
    python.runPython(code);
    // Twice: what the first collection ends may have held more.
    python.runPython("gc.collect()");
    python.runPython("gc.collect()");
    python.runPython(`footprint.note("${name}")`);
}

try {
    copy(folder, "/measured");
    step("before", 'import gc, json, sys; sys.path.insert(0, "/measured"); import footprint');
    step("modules", "footprint.load()");
    step("objects", "footprint.build()");
    python.runPython("footprint.start()");
    await settle();
    step("tasks", "pass");
    python.runPython("footprint.call()");
    await settle();
    step("app", "pass");
    python.runPython("footprint.leave()");
    await settle();
    step("left", "pass");
    python.runPython("footprint.call()");
    await settle();
    python.runPython("footprint.leave()");
    await settle();
    step("again", "pass");
    python.runPython("print(json.dumps(footprint.FIGURES))");
} catch (error) {
    console.error(`${printed.join("\n")}\n${error}`);
    process.exit(1);
}
console.log(printed.at(-1));
// What the tasks printed belongs to a failure's report only, and their timers would run for ever.
process.exit(0);
