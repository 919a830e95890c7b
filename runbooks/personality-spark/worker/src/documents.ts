// JSON as the old side keeps it: PostgreSQL's jsonb, written by Python.
//
// The text that this Worker writes is the very text that PostgreSQL would show for the same request, so that a row of
// either side is the same row after mapping.yaml, byte for byte, on the way over and on the way back.
import { Numeral, Refused, isRecord } from './answers';

const MOST_DIGITS = 4300; // of a whole number that Python reads
const TOKENS = /("[^"\\]*(?:\\.[^"\\]*)*")|\s+/g; // unrolled: a text may have two million characters

/** What FastAPI says of a body that Python's parser gives up on. */
export function unreadable(): Refused {
  return new Refused(400, 'There was an error parsing the body');
}

/** The text as values; numbers are Numerals, as Python would read them.  Raises SyntaxError as JSON.parse does. */
export function parse(text: string): unknown {
  return JSON.parse(text, (_, value, context) => (typeof value === 'number' ? numeral(context.source) : value));
}

/** The text that PostgreSQL shows of a jsonb: keys by length and bytes, a space after each colon and comma. */
export function jsonb(value: unknown): string {
  if (typeof value === 'string') return kept(value);
  if (Array.isArray(value)) return `[${value.map(jsonb).join(', ')}]`;
  if (isRecord(value)) return `{${keys(value).map((key) => `${kept(key)}: ${jsonb(value[key])}`).join(', ')}}`;
  return JSON.stringify(value);
}

/** The same without the spaces between its parts, which is how FastAPI answers. */
export function compact(text: string): string {
  return text.replace(TOKENS, (_, quoted: string | undefined) => quoted ?? '');
}

/** A text of JSON; refuses what PostgreSQL has no text for. */
export function kept(text: string): string {
  if (text.includes('\0') || !text.isWellFormed()) {
    throw new Refused(422, 'texts must not hold U+0000 or half of a surrogate pair');
  }
  return JSON.stringify(text);
}

function keys(value: Record<string, unknown>): string[] {
  const encoder = new TextEncoder();
  const found = Object.keys(value).map((key) => ({ key, bytes: encoder.encode(key) }));
  found.sort((one, other) => one.bytes.length - other.bytes.length || compare(one.bytes, other.bytes));
  return found.map(({ key }) => key);
}

function compare(one: Uint8Array, other: Uint8Array): number {
  const at = one.findIndex((byte, index) => byte !== other[index]);
  return at === -1 ? 0 : one[at]! - other[at]!;
}

/** A whole number by its digits; any other one as a double, written out as PostgreSQL's numeric writes it. */
function numeral(source: string): Numeral {
  if (/^-?\d+$/.test(source)) {
    if (source.length > MOST_DIGITS) throw unreadable();
    return new Numeral(source === '-0' ? '0' : source);
  }
  const double = Number(source);
  if (!Number.isFinite(double)) throw new Refused(422, `${source} is too large a number`);
  const [mantissa = '', exponent = ''] = Math.abs(double).toExponential().split('e');
  const [digits, point] = [mantissa.replace('.', ''), Number(exponent) + 1];
  return new Numeral((double < 0 ? '-' : '') + decimal(digits, point));
}

/** `digits` with the decimal point after so many of them, which may be fewer than none or more than there are. */
function decimal(digits: string, point: number): string {
  if (point <= 0) return `0.${'0'.repeat(-point)}${digits}`;
  if (point < digits.length) return `${digits.slice(0, point)}.${digits.slice(point)}`;
  // Python writes 1e16 and more with an exponent, and then without a fraction.
  return digits.padEnd(point, '0') + (point > 16 ? '' : '.0');
}
