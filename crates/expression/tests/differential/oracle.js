// Reads one JSON text per line: first the document, then sources. Answers each source with one
// line: { "ok": notation, "border": JSON } or { "throws": name }; an undefined result has no border,
// and what is no result is "refused".
// `$json` is a fresh copy for each source.
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
  if (value instanceof Intl.NumberFormat) return 'NumberFormat()';
  if (value instanceof Intl.DateTimeFormat) return 'DateTimeFormat()';
  if (value instanceof RegExp) return `RegExp(${text(value.source)},${text(value.flags)})`;
  if (value instanceof Set) return list('Set[', value, ']');
  if (value instanceof Map) return list('Map[', value, ']');
  if (value instanceof URLSearchParams) return list('URLSearchParams[', value, ']');
  if (value instanceof URL) return `URL(${text(value.href)})`;
  // What JavaScript gives bit by bit is a list here.
  if (typeof value.next === 'function') return list('[', value, ']');
  return '{' + Object.entries(value).map(([key, item]) => text(key) + ':' + write(item)).join() + '}';
}

const REFUSED = {};

// What leaves the language: JSON, without half characters.
function border(value) {
  switch (typeof value) {
    case 'number': return Number.isFinite(value) ? value : null;
    case 'string': return value.toWellFormed();
    case 'undefined': return null;
    case 'object': break;
    default: return value;
  }
  if (value === null || value instanceof Date) return value;
  if (Array.isArray(value) || typeof value.next === 'function') return Array.from(value, border);
  if (value instanceof URL) return value.href;
  if ([Set, Map, RegExp, URLSearchParams, Intl.NumberFormat, Intl.DateTimeFormat].some((type) => value instanceof type)) throw REFUSED;
  const kept = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(kept.map(([key, item]) => [key.toWellFormed(), border(item)]));
}

function judge(document, source) {
  try {
    const run = new Function('$json', '"use strict"; return (' + source + '\n)');
    // Twice, because an iterator is used up by the first look at it.
    const value = run(JSON.parse(document));
    const ok = write(run(JSON.parse(document)));
    try {
      return { ok, border: value === undefined ? undefined : border(value) };
    } catch (error) {
      if (error === REFUSED) return { ok, refused: true };
      throw error;
    }
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
