/** The layout of a page, and its empty state. */
import type { LucideIcon } from 'lucide-react';
import type { ReactNode } from 'react';

/** The part of a page that scrolls. It always takes the focus, so that keys scroll it also while it loads and holds no button or link. */
export function PageBody({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="page" tabIndex={0} role="region" aria-label={title}>
      <div className="page-inside">{children}</div>
    </div>
  );
}

export function Page({
  title,
  lead,
  actions,
  children,
}: {
  title: string;
  lead?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  return (
    <PageBody title={title}>
      <header className="page-head">
        <div className="grow wide-grow">
          <h1>{title}</h1>
          {lead && <p className="muted">{lead}</p>}
        </div>
        {actions && <div className="row">{actions}</div>}
      </header>
      {children}
    </PageBody>
  );
}

export function EmptyState({
  icon: Icon,
  title,
  text,
  children,
}: {
  icon?: LucideIcon;
  title: string;
  text?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <div className="empty">
      {Icon && <Icon aria-hidden="true" />}
      <h2>{title}</h2>
      {text && <p>{text}</p>}
      {children}
    </div>
  );
}
