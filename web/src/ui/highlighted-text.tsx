/** Marks the search terms in a text. */
export function HighlightedText({ text, query }: { text: string; query: string }) {
  const terms = query.split(/\s+/).filter(Boolean);
  if (!terms.length) return <>{text}</>;
  const pattern = new RegExp(`(${terms.map((one) => one.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')})`, 'gi');
  return <>{text.split(pattern).map((piece, index) => (index % 2 ? <mark key={index}>{piece}</mark> : piece))}</>;
}
