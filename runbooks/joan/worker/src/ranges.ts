// The Range header, as the old side's Starlette reads it.  Of several ranges that do not touch it made a multipart
// answer; here the whole file is the answer, which a client must always expect (RFC 9110, 14.2).

const PLAIN = { 'content-type': 'text/plain; charset=utf-8' };

interface Part {
  offset: number;
  length: number;
}

/** A range that cannot be: its answer is plain text, where every other error is JSON. */
export class BadRange extends Error {
  constructor(readonly answer: Response) {
    super('not a range of this file');
  }
}

/** The one part that is asked for; null for the whole file. */
export function rangeOf(asked: string, headers: Headers, file: R2Object): Part | null {
  const only = headers.get('if-range');
  if (only !== null && only !== file.httpEtag && only !== file.uploaded.toUTCString()) return null;
  const at = asked.indexOf('=');
  if (at < 0) throw malformed('Malformed range header.');
  if (asked.slice(0, at).trim().toLowerCase() !== 'bytes') throw malformed('Only support bytes range');
  const ranges = asked.slice(at + 1).split(',').flatMap((part) => bounds(part.trim(), file.size));
  if (ranges.length === 0) throw malformed('Range header: range must be requested');
  if (ranges.some(([start]) => start >= file.size)) {
    throw new BadRange(new Response('', { status: 416, headers: { ...PLAIN, 'content-range': `bytes */${file.size}` } }));
  }
  if (ranges.some(([start, end]) => start >= end)) throw malformed('Range header: start must be less than end');
  ranges.sort(([one], [other]) => one - other);
  let [first, last] = ranges[0]!;
  for (const [start, end] of ranges) {
    if (start > last) return null;
    last = Math.max(last, end);
  }
  return { offset: first, length: last - first };
}

/** Start and end (not included) of a range as it is written; nothing if it is none. */
function bounds(part: string, size: number): [number, number][] {
  const found = /^(\d*)\s*-\s*(\d*)$/.exec(part);
  if (found === null || part === '-') return [];
  const [start, end] = [found[1]!, found[2]!];
  if (start === '') return [[Math.max(size - Number(end), 0), size]];
  return [[Number(start), end !== '' && Number(end) < size ? Number(end) + 1 : size]];
}

function malformed(words: string): BadRange {
  return new BadRange(new Response(words, { status: 400, headers: PLAIN }));
}
