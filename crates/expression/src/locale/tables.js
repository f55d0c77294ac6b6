// Writes the tables of numbers beside it: `node tables.js`, with all of ICU's languages in Node.js.
//
// In a pattern `{0}` is the number, what stands in brackets is a unit, a currency or a power of
// ten; a `|` is between its forms. A line that would be as that of the width before it is left out.
const fs = require('fs');
const path = require('path');

const LOCALES = ['en', 'en-GB', 'de', 'fr', 'es', 'ja', 'zh'];
const NUMBER = ['integer', 'group', 'decimal', 'fraction', 'minusSign', 'exponentSeparator', 'exponentInteger'];
const COMPOUND = ['kilometer-per-hour', 'kilometer-per-second', 'meter-per-second', 'meter-per-minute', 'mile-per-hour',
  'mile-per-gallon', 'liter-per-kilometer', 'megabyte-per-second', 'gigabyte-per-second', 'megabit-per-second',
  'kilobyte-per-second', 'gigabit-per-second', 'kilobit-per-second', 'byte-per-second', 'bit-per-second'];

function parts(locale, options, number) {
  return new Intl.NumberFormat(locale, options).formatToParts(number);
}

function part(locale, options, number, type) {
  return parts(locale, options, number).filter((p) => p.type === type).map((p) => p.value).join('');
}

// The pattern around the number.
function around(locale, options, number) {
  let pattern = '';
  for (const { type, value } of parts(locale, options, number)) {
    if (!NUMBER.includes(type)) pattern += type === 'literal' ? value : `[${value}]`;
    else if (!pattern.includes('{0}')) pattern += '{0}';
  }
  return pattern;
}

// The form for one, for more, and for exactly one where that is another.
function forms(one, other, exact = one) {
  if (exact !== one) return `${one}|${other}|${exact}`;
  return one === other ? other : `${one}|${other}`;
}

function compact(lines, locale, key, options) {
  const all = { ...options, notation: 'compact' };
  // In French 1.5 is one.
  const one = locale === 'fr' ? 1.5 : 1;
  let before;
  for (let power = 3; power <= 20; power += 1) {
    const exponent = power + 1 - part(locale, { ...all, useGrouping: false }, 2 * 10 ** power, 'integer').length;
    const [single, other, exact] = [one, 2, 1].map((n) => around(locale, all, n * 10 ** power));
    if (exponent > 0 && before !== `${exponent} ${other}`) lines.push(`${key}-${power}\t${exponent} ${forms(single, other, exact)}`);
    before = `${exponent} ${other}`;
  }
}

// The lines of a unit, from the widest on.
function widths(locale, key, options, displays = ['long', 'short', 'narrow']) {
  const lines = displays.map((unitDisplay) => {
    const all = { style: 'unit', unitDisplay, ...options };
    return [`${key}-${unitDisplay}\t`, forms(around(locale, all, 1), around(locale, all, 5))];
  });
  return lines.filter(([, line], i) => line !== lines[i - 1]?.[1]).map((line) => line.join(''));
}

// The sign of compact numbers, which is that of the table of units; other numbers have their own.
function percent(locale) {
  return widths(locale, 'percent-compact', { unit: 'percent', notation: 'compact' }, ['short', 'narrow']);
}

function numbers(locale) {
  const plain = (type, number, options = {}) => part(locale, options, number, type);
  const lines = [
    `group\t${plain('group', 12345)}`,
    `decimal\t${plain('decimal', 0.5)}`,
    `least-grouped\t${plain('group', 1234) ? 4 : 5}`,
    `percent\t${around(locale, { style: 'percent' }, 2)}`,
    ...percent(locale),
    `currency\t${around(locale, { style: 'currency', currency: 'EUR' }, 2).replace('[€]', '[]')}`,
    `accounting\t${around(locale, { style: 'currency', currency: 'EUR', currencySign: 'accounting' }, -2).replace('[€]', '[]')}`,
    `currency-name\t${around(locale, { style: 'currency', currency: 'XYZ', currencyDisplay: 'name' }, 2).replace('[XYZ]', '[]')}`,
  ];
  compact(lines, locale, 'compact-short', { compactDisplay: 'short' });
  compact(lines, locale, 'compact-long', { compactDisplay: 'long' });
  compact(lines, locale, 'compact-currency', { style: 'currency', currency: 'EUR' });
  for (const unit of [...Intl.supportedValuesOf('unit'), ...COMPOUND]) lines.push(...widths(locale, unit, { unit }));
  return lines.map((line) => `${line.replaceAll('[€]', '[]')}\n`).join('');
}

function currency(code) {
  const digits = new Intl.NumberFormat('en', { style: 'currency', currency: code }).resolvedOptions().maximumFractionDigits;
  const cells = LOCALES.map((locale) => {
    const shown = (currencyDisplay, number) => part(locale, { style: 'currency', currency: code, currencyDisplay, maximumFractionDigits: 0 }, number, 'currency');
    const symbol = shown('symbol', 5), narrow = shown('narrowSymbol', 5), name = forms(shown('name', 1), shown('name', 5));
    if (symbol === code && narrow === code && name === code) return '';
    return [symbol === code ? '' : symbol, narrow === symbol ? '' : narrow, name].join(';');
  });
  if (digits === 2 && cells.every((cell) => cell === '')) return [];
  return [[code, digits, ...cells.map((cell, at) => (at > 0 && cell === cells[0] ? '=' : cell))].join('\t') + '\n'];
}

// The long names of zones by their English one, from every month since 1970.
function zoneNames() {
  const zones = fs.readFileSync(path.join(__dirname, 'zones.txt'), 'utf8').split('\n').flatMap((line) => (line.split('\t')[2] ?? '').split(' '));
  const name = (format, at) => format.formatToParts(at).find((p) => p.type === 'timeZoneName').value;
  const names = new Map();
  for (const timeZone of zones.filter((zone) => zone !== '')) {
    const [english, ...others] = LOCALES.map((locale) => new Intl.DateTimeFormat(locale, { timeZone, timeZoneName: 'long' }));
    for (let month = 0; month < 70 * 12; month += 1) {
      const at = Date.UTC(1970, month, 15);
      const key = name(english, at);
      if (!names.has(key) && !/^GMT[+-]?\d*/.test(key)) names.set(key, others.map((format) => name(format, at)));
    }
  }
  return [...names].map(([key, others]) => [key, ...others].join('\t') + '\n').sort().join('');
}

fs.writeFileSync(path.join(__dirname, 'zone-names.txt'), zoneNames());
for (const locale of LOCALES) fs.writeFileSync(path.join(__dirname, `${locale}.numbers.txt`), numbers(locale));
const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
const codes = letters.flatMap((a) => letters.flatMap((b) => letters.map((c) => a + b + c)));
fs.writeFileSync(path.join(__dirname, 'currencies.txt'), codes.flatMap(currency).join(''));
