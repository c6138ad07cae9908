// Loads compiled firmware into MicroPython's WebAssembly port, whose objects have 32 bits like those of an ESP32,
// takes the steps that a module tells, and prints how much heap there is in use after each, as JSON.
// Usage: node footprint.mjs MICROPYTHON.mjs FOLDER SECONDS MODULE
// Folder: everything for the import path, as .mpy or .py files. Module: has STEPS and `note` as in footprint.py.

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [interpreter, folder, seconds, module] = process.argv.slice(2);
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

function note(name) {
    // Twice: what the first collection ends may have held more.
    python.runPython("gc.collect()");
    python.runPython("gc.collect()");
    python.runPython(`footprint.note("${name}")`);
}

try {
    copy(folder, "/measured");
    python.runPython(`import gc, json, sys; sys.path.insert(0, "/measured"); import ${module} as footprint`);
    note("before");
    python.runPython("print(json.dumps(footprint.STEPS))");
    for (const [name, call, waits] of JSON.parse(printed.at(-1))) {
        python.runPython(`footprint.${call}()`);
        if (waits) await settle();
        if (name) note(name);
    }
    python.runPython("print(json.dumps(footprint.FIGURES))");
} catch (error) {
    console.error(`${printed.join("\n")}\n${error}`);
    process.exit(1);
}
console.log(printed.at(-1));
// What the tasks printed belongs to a failure's report only, and their timers would run for ever.
process.exit(0);
