// Reads one JSON text per line: first the document, then sources. Answers each source with one
// line: { "ok": notation } or { "throws": name }. `$json` is a fresh copy for each source.
const fs = require('fs');

const text = (value) => JSON.stringify(value);
const list = (open, items, close) => open + Array.from(items, write).join() + close;

// The same notation as `Program::inspect`.
function write(value) {
  switch (typeof value) {
    case 'number': return Object.is(value, -0) ? '-0' : String(value);
    case 'string': return text(value);
    case 'object': break;
    default: return String(value);
  }
  if (value === null) return 'null';
  if (Array.isArray(value)) return list('[', value, ']');
  if (value instanceof Date) return `Date(${value.getTime()})`;
  // What JavaScript gives bit by bit is a list here.
  if (typeof value.next === 'function') return list('[', value, ']');
  return '{' + Object.entries(value).map(([key, item]) => text(key) + ':' + write(item)).join() + '}';
}

function judge(document, source) {
  try {
    const run = new Function('$json', '"use strict"; return (' + source + '\n)');
    return { ok: write(run(JSON.parse(document))) };
  } catch (error) {
    return { throws: String(error && error.name) };
  }
}

let document, rest = '';
const chunk = Buffer.alloc(1 << 16);
const decoder = new TextDecoder();
for (;;) {
  const read = fs.readSync(0, chunk);
  if (read === 0) break;
  const lines = (rest + decoder.decode(chunk.subarray(0, read), { stream: true })).split('\n');
  rest = lines.pop();
  for (const line of lines) {
    if (document === undefined) document = line;
    else fs.writeSync(1, JSON.stringify(judge(document, JSON.parse(line))) + '\n');
  }
}
