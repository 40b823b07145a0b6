import { readFileSync } from "node:fs";

/**
 * A table of cases of this folder.
 * @param {string} name
 */
export function cases(name) {
  return JSON.parse(readFileSync(new URL(`${name}.json`, import.meta.url), "utf8"));
}
