/** The syntax highlighter. A separate chunk, loaded with the first code block that names its language. */
import { common, createLowlight } from 'lowlight';

const lowlight = createLowlight(common);

export function highlight(code: string, language: string) {
  const name = language.toLowerCase();
  return lowlight.registered(name) ? lowlight.highlight(name, code) : null;
}
