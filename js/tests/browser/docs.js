/** What stands in the pages of the documentation. Imports nothing. */

/**
 * The blocks of a language.
 * @param {string} language
 * @param {string} text
 */
export function blocks(language, text) {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms"))].map(([, code]) => code);
}
