// Patterns of paths: `/results/:id` stands for one part, `/static/*` for everything below.  A request line names the
// pattern and never the path, so that no id of a person gets into it.

export const OTHER = '(other)';

/** The first pattern that the path is of; `(other)` if it is of none. */
export function routeOf(path: string, patterns: readonly string[]): string {
  const parts = path.split('/');
  return patterns.find((pattern) => isOf(parts, pattern.split('/'))) ?? OTHER;
}

/** Whether `METHOD pattern` stands in the list for this request. */
export function listed(method: string, path: string, entries: readonly string[]): boolean {
  const parts = path.split('/');
  return entries.some((entry) => {
    const [wanted, pattern] = entry.split(' ', 2);
    return wanted === method && isOf(parts, (pattern ?? '').split('/'));
  });
}

function isOf(parts: readonly string[], pattern: readonly string[]): boolean {
  if (pattern.at(-1) === '*' ? parts.length < pattern.length : parts.length !== pattern.length) return false;
  return pattern.every((one, at) => one === '*' || (one.startsWith(':') ? parts[at] !== '' : one === parts[at]));
}
