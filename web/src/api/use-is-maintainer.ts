/** What the person may do here. */
import { useQuery } from '@tanstack/react-query';
import { meQuery } from './queries';

/** Whether the person is an owner or a maintainer, who decide for everybody; undefined until it is known. */
export function useIsMaintainer(): boolean | undefined {
  const role = useQuery(meQuery).data?.person.role;
  return role && (role === 'owner' || role === 'maintainer');
}

/** Whether the person may add anything at all. A reader may not. */
export function useMayAdd(): boolean {
  const role = useQuery(meQuery).data?.person.role;
  return role !== undefined && role !== 'reader';
}
