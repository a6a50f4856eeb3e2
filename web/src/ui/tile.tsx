/** A figure with its label. */

export function Tile({ name, value, hint }: { name: string; value: string; hint?: string }) {
  return (
    <div className="tile" title={hint}>
      <span className="small muted">{name}</span>
      <strong className="num">{value}</strong>
    </div>
  );
}
