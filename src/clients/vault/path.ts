/** A path as it goes into a URL: each segment encoded, so that `#`, `?` and `%` in a name stay part of it. */
export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
