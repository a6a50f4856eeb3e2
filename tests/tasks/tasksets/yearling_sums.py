"""A small taskset package as verifiers' documentation describes one: sums, some of which want what we do not take."""

from __future__ import annotations

import verifiers.v1 as vf

__all__ = ["SumTaskset"]


class SumData(vf.TaskData):
    total: int = 0


class SumTask(vf.Task[SumData]):
    @vf.reward(weight=0.75)
    async def right(self, task: SumData, trace: vf.Trace) -> float:
        if trace.last_reply == "crash":
            raise RuntimeError("no")
        return float(trace.last_reply == str(task.total))

    @vf.reward(weight=0.25)
    async def short(self, trace: vf.Trace) -> float:
        return float(0 < len(trace.last_reply) < 9)


class BoxedTask(SumTask):
    NEEDS_CONTAINER = True


class SumConfig(vf.TasksetConfig):
    count: int = 40
    boxed: bool = False


class SumTaskset(vf.Taskset[SumTask, SumConfig]):
    def load(self) -> list[SumTask]:
        kind = BoxedTask if self.config.boxed else SumTask
        rows = [SumData(prompt=f"{n} + {n + 3} =", system_prompt="Sums.", total=2 * n + 3) for n in range(self.config.count)]
        return [kind(row, self.config.task) for row in rows]
