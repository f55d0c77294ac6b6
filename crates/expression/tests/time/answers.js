// Writes the answers into the tables beside it: `node answers.js FILE…`, where `luxon` can be
// required. A line `@ zone` sets the workflow's zone; any other is an expression, a tab, its answer.
const fs = require('fs');
const { DateTime, Duration, Interval, Settings } = require('luxon');

const NOW = Date.UTC(2026, 2, 14, 9, 26, 53, 589);
Settings.now = () => NOW;
Settings.defaultLocale = 'en-US';

// The extension forms that workflows know from elsewhere.
DateTime.prototype.format = DateTime.prototype.toFormat;
String.prototype.toDateTime = function () { return DateTime.fromISO(String(this)); };
Number.prototype.toDateTime = function () { return DateTime.fromMillis(Number(this)); };

function border(value) {
  if (typeof value === 'number' && !Number.isFinite(value)) return null;
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value.isLuxonDateTime || value.isLuxonDuration || value.isLuxonInterval) return value.toISO();
  if (Array.isArray(value)) return value.map((item) => border(item) ?? null);
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined).map(([k, v]) => [k, border(v)]));
}

function answer(source) {
  try {
    const $now = DateTime.now(), $today = $now.startOf('day');
    const run = new Function('DateTime', 'Duration', 'Interval', '$now', '$today', 'return (' + source + ')');
    const value = border(run(DateTime, Duration, Interval, $now, $today));
    return value === undefined ? 'undefined' : JSON.stringify(value);
  } catch {
    return 'throws';
  }
}

for (const file of process.argv.slice(2)) {
  const lines = fs.readFileSync(file, 'utf8').split('\n').map((line) => {
    if (line.startsWith('@ ')) {
      process.env.TZ = line.slice(2);
      Settings.defaultZone = line.slice(2);
    }
    if (line === '' || line.startsWith('@ ')) return line;
    const [source] = line.split('\t');
    return source + '\t' + answer(source);
  });
  fs.writeFileSync(file, lines.join('\n'));
}
