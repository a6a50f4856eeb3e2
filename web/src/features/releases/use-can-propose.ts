import { useQuery } from '@tanstack/react-query';
import { meQuery } from '../../api/queries';

/** Whether the person may propose changes of releases. */
export function useCanPropose(): boolean {
  const role = useQuery(meQuery).data?.person.role;
  return role === 'owner' || role === 'maintainer';
}
