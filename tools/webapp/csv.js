// Reads CSV (RFC 4180) as the box writes it.

/** -> an object for each line, with the names of the first line as keys; all values are text. */
export function parseCsv(text) {
  const [head, ...rows] = lines(text);
  return rows.map((cells) => Object.fromEntries((head ?? []).map((name, i) => [name, cells[i] ?? ""])));
}

function lines(text) {
  const found = [];
  let row = [];
  let cell = "";
  let quoted = false;
  for (let i = 0; i < text.length; i += 1) {
    const char = text[i];
    if (quoted && char === '"' && text[i + 1] === '"') {
      cell += '"';
      i += 1;
    } else if (char === '"') quoted = !quoted;
    else if (quoted || (char !== "," && char !== "\n" && char !== "\r")) cell += char;
    else if (char === ",") {
      row.push(cell);
      cell = "";
    } else if (char === "\n") {
      found.push([...row, cell]);
      row = [];
      cell = "";
    }
  }
  return cell || row.length ? [...found, [...row, cell]] : found;
}
