/** A figure with its label, and what qualifies it. */

export function Tile({ name, value, detail, hint }: { name: string; value: string; detail?: string; hint?: string }) {
  return (
    <div className="tile" title={hint}>
      <span className="small muted">{name}</span>
      <span>
        <strong className="num">{value}</strong>
        {detail && <span className="small muted num"> {detail}</span>}
      </span>
    </div>
  );
}
