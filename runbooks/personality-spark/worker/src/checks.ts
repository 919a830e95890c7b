// What FastAPI says of a request that it cannot take: one entry for each fault, all of them at once.
import { Numeral, Refused, isRecord } from './answers';

export type Place = (string | number)[];

interface Fault {
  type: string;
  loc: Place;
  msg: string;
  input: unknown;
  ctx?: Record<string, unknown>;
}

const UUID = /^(?:urn:uuid:)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;
const INTEGER = /^[+-]?\d+(?:_\d+)*(?:\.0+)?$/;
const GROUPS = [8, 4, 4, 4, 12];
const LONGEST = 45; // with urn:uuid: before it
const STARTS = [0, 9, 14, 19, 24];
const SUFFIX = { ge: 'greater than or equal to', le: 'less than or equal to' };

/** Collects the faults of one request; `done` refuses it if there is any. */
export class Checks {
  private readonly faults: Fault[] = [];

  fault(type: string, loc: Place, msg: string, input: unknown, ctx?: Record<string, unknown>): null {
    this.faults.push({ type, loc, msg, input, ...(ctx && { ctx }) });
    return null;
  }

  done(): void {
    if (this.faults.length > 0) throw new Refused(422, this.faults);
  }

  missing(loc: Place, input: unknown = null): null {
    return this.fault('missing', loc, 'Field required', input);
  }

  /** A UUID in any of its forms, as lower-case text; null beside a fault. */
  uuid(loc: Place, value: unknown): string | null {
    if (typeof value !== 'string') return this.fault('uuid_type', loc, 'UUID input should be a string, bytes or UUID object', value);
    const bare = value.startsWith('{') && value.endsWith('}') ? value.slice(1, -1) : value;
    const found = UUID.exec(bare)?.[1] ?? (/^[0-9a-f]{32}$/i.test(value) ? hyphenated(value) : undefined);
    if (found !== undefined && (bare === value || !bare.startsWith('urn:'))) return found.toLowerCase();
    const error = uuidFault(value);
    return this.fault('uuid_parsing', loc, `Input should be a valid UUID, ${error}`, value, { error });
  }

  text(loc: Place, value: unknown, least = 0, most = Infinity): string | null {
    if (typeof value !== 'string') return this.fault('string_type', loc, 'Input should be a valid string', value);
    const length = [...value].length;
    if (length < least) {
      return this.fault('string_too_short', loc, `String should have at least ${least} character${least === 1 ? '' : 's'}`, value, { min_length: least });
    }
    if (length > most) return this.fault('string_too_long', loc, `String should have at most ${most} characters`, value, { max_length: most });
    return value;
  }

  record(loc: Place, value: unknown): Record<string, unknown> | null {
    return isRecord(value) ? value : this.fault('dict_type', loc, 'Input should be a valid dictionary', value);
  }

  list(loc: Place, value: unknown): unknown[] | null {
    return Array.isArray(value) ? value : this.fault('list_type', loc, 'Input should be a valid list', value);
  }

  /** A whole number: a number, true or false, or a text of one. */
  integer(loc: Place, value: unknown, limits: { ge?: number; le?: number }): number | null {
    const number = this.number(loc, value);
    if (number === null) return null;
    for (const [name, limit] of Object.entries(limits) as ['ge' | 'le', number][]) {
      if (name === 'ge' ? number >= limit : number <= limit) continue;
      const type = name === 'ge' ? 'greater_than_equal' : 'less_than_equal';
      return this.fault(type, loc, `Input should be ${SUFFIX[name]} ${limit}`, value, { [name]: limit });
    }
    return number;
  }

  private number(loc: Place, value: unknown): number | null {
    if (typeof value === 'boolean') return Number(value);
    if (value instanceof Numeral) {
      if (value.whole || Number.isInteger(value.value)) return value.value;
      return this.fault('int_from_float', loc, 'Input should be a valid integer, got a number with a fractional part', value);
    }
    if (typeof value !== 'string') return this.fault('int_type', loc, 'Input should be a valid integer', value);
    const text = value.trim();
    if (INTEGER.test(text)) return Number(text.replaceAll('_', ''));
    return this.fault('int_parsing', loc, 'Input should be a valid integer, unable to parse string as an integer', value);
  }
}

function hyphenated(digits: string): string {
  return STARTS.map((start, at) => digits.slice(start - at, start - at + GROUPS[at]!)).join('-');
}

/** What is wrong with a text that is no UUID, in the words of the library that the old side reads UUIDs by. */
function uuidFault(value: string): string {
  const length = new TextEncoder().encode(value).byteLength;
  if (length > LONGEST) return `invalid length: found ${length}`;
  const braced = value.startsWith('{') && value.endsWith('}');
  const skipped = braced ? 1 : value.startsWith('urn:uuid:') ? 'urn:uuid:'.length : 0;
  const body = braced ? value.slice(1, -1) : value.slice(skipped);
  for (const [at, character] of [...body].entries()) {
    if (!/[0-9a-f-]/i.test(character)) return `invalid character: found \`${character}\` at ${at + skipped}`;
  }
  const groups = body.split('-');
  if (groups.length === 1 && skipped === 0 && value.length !== 36) return `invalid length: found ${value.length}`;
  if (groups.length !== GROUPS.length) return `invalid group count: expected ${GROUPS.length}, found ${groups.length}`;
  const wrong = groups.slice(0, 4).findIndex((group, at) => group.length !== GROUPS[at]);
  if (wrong === -1) return `invalid group length in group 4: expected 12, found ${value.length - STARTS[4]!}`;
  // Each border is held against where it belongs, so a group counts from there.
  const border = groups.slice(0, wrong + 1).join('-').length;
  return `invalid group length in group ${wrong}: expected ${GROUPS[wrong]}, found ${border - STARTS[wrong]!}`;
}
