// What a request may hold.  A fault is told in the form of FastAPI and pydantic: 422 with a list of type, loc and msg.
// Types and places are theirs; the words are, too, but for those about dates, numbers and JSON that cannot be read.
import { Refused } from './answers';

type Place = (string | number)[];

interface Fault {
  type: string;
  loc: Place;
  msg: string;
  input: unknown;
  ctx?: Record<string, unknown>;
}

/** A value that is not as it must be; who knows its place makes a Fault of it. */
export class Wrong extends Error {
  constructor(
    readonly type: string,
    message: string,
    readonly ctx?: Record<string, unknown>,
    readonly within: Place = [],
    readonly also: readonly Wrong[] = [], // more of them, in the same value
  ) {
    super(message);
  }
}

/** Reads a value, or throws Wrong. */
export type Reads<T> = (value: unknown) => T;

/** A part of a request; without `or` it must be there. */
export interface Part<T> {
  reads: Reads<T>;
  or?: T;
}

type Parts = Record<string, Part<unknown>>;
type Of<P> = P extends Part<infer T> ? T : never;
export type Whole<P extends Parts> = { [K in keyof P]: Of<P[K]> };

/** All faults of a request, from its path, its query and its body. */
export class Faults {
  private readonly found: Fault[] = [];

  add(loc: Place, input: unknown, { type, message, ctx, within, also }: Wrong): void {
    this.found.push({ type, loc: [...loc, ...within], msg: message, input, ...(ctx && { ctx }) });
    for (const one of also) this.add(loc, input, one);
  }

  /** The value, or undefined and a fault. */
  read<T>(reads: Reads<T>, value: unknown, loc: Place): T | undefined {
    try {
      return reads(value);
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      this.add(loc, value, error);
      return undefined;
    }
  }

  /** The parts that were sent; what must be there and is not, is a fault. */
  parts<P extends Parts>(parts: P, sent: Record<string, unknown>, loc: Place): Partial<Whole<P>> {
    const whole: Record<string, unknown> = {};
    for (const [name, part] of Object.entries(parts)) {
      if (Object.hasOwn(sent, name)) whole[name] = this.read(part.reads, sent[name], [...loc, name]);
      else if (!('or' in part)) this.add([...loc, name], sent, new Wrong('missing', 'Field required'));
    }
    return whole as Partial<Whole<P>>;
  }

  /** Ends the request if anything was found. */
  end(): void {
    if (this.found.length > 0) throw new Refused(422, this.found);
  }
}

/** Reads a text of a query or a path as a body's value is read. */
export const id: Reads<string> = (value) => {
  if (typeof value !== 'string') throw new Wrong('uuid_type', 'UUID input should be a string, bytes or UUID object');
  const plain = /^(?:urn:uuid:)?([0-9a-f]{8}(-?)[0-9a-f]{4}\2[0-9a-f]{4}\2[0-9a-f]{4}\2[0-9a-f]{12})$/i;
  const found = plain.exec(value) ?? plain.exec(/^\{(.{36})\}$/.exec(value)?.[1] ?? '');
  const error = 'this is not 32 hexadecimal digits, with or without four dashes';
  if (found === null) throw new Wrong('uuid_parsing', `Input should be a valid UUID, ${error}`, { error });
  return found[1]!.replaceAll('-', '').toLowerCase();
};

export function text(least = 0, most = Infinity, pattern?: RegExp): Reads<string> {
  return (value) => {
    if (typeof value !== 'string') throw new Wrong('string_type', 'Input should be a valid string');
    if (/\p{Surrogate}/u.test(value)) {
      const words = 'Input should be a valid string, unable to parse raw data as a unicode string';
      throw new Wrong('string_unicode', words);
    }
    const length = [...value].length;
    const characters = (count: number) => `${count} character${count === 1 ? '' : 's'}`;
    if (length < least) {
      const words = `String should have at least ${characters(least)}`;
      throw new Wrong('string_too_short', words, { min_length: least });
    }
    if (length > most) {
      const words = `String should have at most ${characters(most)}`;
      throw new Wrong('string_too_long', words, { max_length: most });
    }
    if (pattern !== undefined && !pattern.test(value)) {
      const words = `String should match pattern '${pattern.source}'`;
      throw new Wrong('string_pattern_mismatch', words, { pattern: pattern.source });
    }
    return value;
  };
}

export function integer(least = -Infinity, most = Infinity): Reads<number> {
  return (value) => {
    const number = whole(value);
    if (number < least) {
      throw new Wrong('greater_than_equal', `Input should be greater than or equal to ${least}`, { ge: least });
    }
    if (number > most) throw new Wrong('less_than_equal', `Input should be less than or equal to ${most}`, { le: most });
    return number;
  };
}

function whole(value: unknown): number {
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'string') {
    const words = 'Input should be a valid integer, unable to parse string as an integer';
    if (!/^\s*[+-]?\d+(\.0*)?\s*$/.test(value)) throw new Wrong('int_parsing', words);
    return exact(Number(value));
  }
  if (typeof value !== 'number') throw new Wrong('int_type', 'Input should be a valid integer');
  if (Number.isInteger(value)) return exact(value);
  throw new Wrong('int_from_float', 'Input should be a valid integer, got a number with a fractional part');
}

// The old side takes integers up to 2^63 - 1; beyond 2^53 JavaScript would round them, so they are refused here.
function exact(value: number): number {
  if (Number.isSafeInteger(value)) return value;
  throw new Wrong('int_parsing_size', 'Unable to parse input string as an integer, exceeded maximum size');
}

/** A decimal number with at most `digits` digits, `places` of them after the point. */
export function decimal(digits: number, places: number): Reads<number> {
  return (value) => {
    if (typeof value !== 'number' && typeof value !== 'string') {
      throw new Wrong('decimal_type', 'Decimal input should be an integer, float, string or Decimal object');
    }
    const found = /^[+-]?(\d*)\.?(\d*)$/.exec(String(value).trim());
    if (found === null || found[1] + found[2]! === '') {
      throw new Wrong('decimal_parsing', 'Input should be a valid decimal');
    }
    const before = found[1]!.replace(/^0+/, '').length;
    const after = found[2]!.length;
    const words = (count: number, what: string) => `Decimal input should have no more than ${count} ${what}`;
    if (after > places) {
      throw new Wrong('decimal_max_places', words(places, 'decimal places'), { decimal_places: places });
    }
    if (before + after > digits) {
      throw new Wrong('decimal_max_digits', words(digits, 'digits in total'), { max_digits: digits });
    }
    if (before > digits - places) {
      const ctx = { whole_digits: digits - places };
      throw new Wrong('decimal_whole_digits', words(digits - places, 'digits before the decimal point'), ctx);
    }
    return Number(value);
  };
}

export function oneOf<T extends string>(...values: T[]): Reads<T> {
  const quoted = values.map((value) => `'${value}'`);
  const expected = [quoted.slice(0, -1).join(', '), quoted.at(-1)].join(' or ');
  return (value) => {
    if (values.includes(value as T)) return value as T;
    throw new Wrong('enum', `Input should be ${expected}`, { expected });
  };
}

const YES = ['1', 'on', 't', 'true', 'y', 'yes'];
const NO = ['0', 'off', 'f', 'false', 'n', 'no'];

/** 1 or 0, as SQLite keeps it. */
export const flag: Reads<number> = (value) => {
  if (typeof value !== 'boolean' && typeof value !== 'number' && typeof value !== 'string') {
    throw new Wrong('bool_type', 'Input should be a valid boolean');
  }
  const told = String(value).toLowerCase();
  if (YES.includes(told)) return 1;
  if (NO.includes(told)) return 0;
  throw new Wrong('bool_parsing', 'Input should be a valid boolean, unable to interpret input');
};

/** A day as YYYY-MM-DD; a time at midnight counts as its day.  The old side takes seconds since 1970, too. */
export const day: Reads<string> = (value) => {
  if (typeof value !== 'string') throw new Wrong('date_type', 'Input should be a valid date');
  const found = /^(\d{4}-\d{2}-\d{2})(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]00:?00)?)?$/.exec(value.trim())?.[1];
  const read = new Date(`${found}T00:00:00Z`);
  if (found === undefined || Number.isNaN(read.valueOf()) || read.toISOString().slice(0, 10) !== found) {
    const error = 'this is not a day of the calendar as YYYY-MM-DD';
    throw new Wrong('date_from_datetime_parsing', `Input should be a valid date or datetime, ${error}`, { error });
  }
  return found;
};

export function orNull<T>(reads: Reads<T>): Reads<T | null> {
  return (value) => (value === null ? null : reads(value));
}

export function list<T>(reads: Reads<T>): Reads<T[]> {
  return (value) => {
    if (!Array.isArray(value)) throw new Wrong('list_type', 'Input should be a valid list');
    const wrong: Wrong[] = [];
    const items = value.flatMap((item, at) => {
      try {
        return [reads(item)];
      } catch (error) {
        if (!(error instanceof Wrong)) throw error;
        wrong.push(new Wrong(error.type, error.message, error.ctx, [at, ...error.within]));
        return [];
      }
    });
    const [first, ...others] = wrong;
    if (first === undefined) return items;
    throw new Wrong(first.type, first.message, first.ctx, first.within, others);
  };
}

/** The body's parts as they were sent; a part that nobody knows is a fault. */
export function bodyParts<P extends Parts>(faults: Faults, parts: P, sent: unknown): Partial<Whole<P>> {
  if (sent === undefined || sent === null) {
    faults.add(['body'], null, new Wrong('missing', 'Field required'));
    return {};
  }
  if (typeof sent !== 'object' || Array.isArray(sent)) {
    const words = 'Input should be a valid dictionary or object to extract fields from';
    faults.add(['body'], sent, new Wrong('model_attributes_type', words));
    return {};
  }
  const found = faults.parts(parts, sent as Record<string, unknown>, ['body']);
  for (const [name, value] of Object.entries(sent)) {
    if (Object.hasOwn(parts, name)) continue;
    faults.add(['body', name], value, new Wrong('extra_forbidden', 'Extra inputs are not permitted'));
  }
  return found;
}

/** What was sent, and for the rest what stands for it. */
export function completed<P extends Parts>(parts: P, sent: Partial<Whole<P>>): Whole<P> {
  const rest = Object.entries(parts).map(([name, { or }]) => [name, or]);
  return { ...Object.fromEntries(rest), ...sent } as Whole<P>;
}
