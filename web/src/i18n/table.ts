/** The strings that are loaded so far. */
type Strings = Readonly<Record<string, readonly [english: string, chinese: string]>>;

export const TABLE: Record<string, readonly [string, string]> = {};

/** Adds strings. Every module that shows a string of a page imports the file in `pages/` that adds it. */
export function addStrings<const T extends Strings>(strings: T): T {
  Object.assign(TABLE, strings);
  return strings;
}
