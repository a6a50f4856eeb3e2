/** Keeps the number of what waits for the person in step with what they judge, without asking the server after each judgement. */
import { queryClient, ratingQueueQuery, roundsQuery } from '../../api/queries';
import type { NextJudgement } from '../../api/types';

/** `what` was judged, or the judgement of it was taken back. */
export function countJudged(what: NextJudgement, isJudged: boolean): void {
  const { round, item } = what;
  if (round)
    queryClient.setQueryData(roundsQuery.queryKey, (list) =>
      list && {
        ...list,
        data: list.data.map((one) => (one.id === round.id ? { ...one, to_judge: Math.max(0, one.to_judge + (isJudged ? -1 : 1)) } : one)),
      },
    );
  else if (item && isJudged)
    queryClient.setQueryData(ratingQueueQuery.queryKey, (list) => list && { ...list, data: list.data.filter((one) => one.item !== item.item) });
  else void queryClient.invalidateQueries({ queryKey: ratingQueueQuery.queryKey }); // only the server knows where it belongs
}
