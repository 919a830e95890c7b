// What the runtime has and TypeScript's library of this version does not know yet.

interface JSON {
  parse(text: string, reviver: (key: string, value: unknown, context: { source: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
}

interface String {
  isWellFormed(): boolean;
}
