// The forms in which SQLAlchemy keeps values in SQLite.  Rows that this Worker writes have exactly these forms, because
// the way back carries them into Joan's file, and her old application goes on with them.

/** A new id as 32 hexadecimal digits without dashes, as the type Uuid is kept. */
export function newId(): string {
  return crypto.randomUUID().replaceAll('-', '');
}

/** An id as clients see it. */
export function dashed(id: string): string {
  return `${id.slice(0, 8)}-${id.slice(8, 12)}-${id.slice(12, 16)}-${id.slice(16, 20)}-${id.slice(20)}`;
}

export function dashedOrNull(id: string | null): string | null {
  return id === null ? null : dashed(id);
}

/** The time now, in UTC, without a zone and with six digits of a second; the runtime's clock knows three of them. */
export function now(): string {
  return `${new Date().toISOString().slice(0, -1).replace('T', ' ')}000`;
}

/** A time as clients see it: Python leaves a fraction of zero out. */
export function time(kept: string): string {
  return kept.replace(' ', 'T').replace(/\.0+$/, '');
}

export function timeOrNull(kept: string | null): string | null {
  return kept === null ? null : time(kept);
}

/** A list of texts as Python's json.dumps writes it: ASCII alone, a space after each comma.  null is kept as JSON, too. */
export function jsonTexts(texts: readonly string[] | null): string {
  return texts === null ? 'null' : `[${texts.map(ascii).join(', ')}]`;
}

function ascii(text: string): string {
  const escaped = (one: string) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, escaped);
}
