/** A text in which the search terms are marked. */

/** The words that were looked for, marked. */
export function Marked({ text, words }: { text: string; words: string }) {
  const parts = words.split(/\s+/).filter(Boolean);
  if (!parts.length) return <>{text}</>;
  const pattern = new RegExp(`(${parts.map((one) => one.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')})`, 'gi');
  return (
    <>
      {text.split(pattern).map((piece, index) => (index % 2 ? <mark key={index}>{piece}</mark> : piece))}
    </>
  );
}
