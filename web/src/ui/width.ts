/** How wide an element is, so that a drawing in it has letters of the same size on a phone. */
import { type RefObject, useLayoutEffect, useState } from 'react';

export function useWidth(box: RefObject<Element | null>, first: number): number {
  const [width, setWidth] = useState(first);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const look = () => setWidth(Math.max(240, Math.round(element.clientWidth)));
    look();
    const watch = new ResizeObserver(look);
    watch.observe(element);
    return () => watch.disconnect();
  }, [box]);
  return width;
}
