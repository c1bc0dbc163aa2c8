"""``@task.tc_transform``: a pandas function that plans the load of a feed with itself as the last transform."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial, update_wrapper
from typing import Any, cast

from airflow.sdk import Context
from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory

from tcetl.airflow.operators.feed import FeedPlanOperator
from tcetl.transform import Transform
from tcetl.transform.user import Function, as_transform


class TransformDecoratedOperator(DecoratedOperator, FeedPlanOperator):
    """A `FeedPlanOperator` whose last transform is the decorated function.

    What the function is called with in the DAG is given to it after the DataFrame.

    Args:
        python_callable: The function, plain or decorated by :func:`tcetl.transform.transform`.
        op_args: Positional arguments after the DataFrame.
        op_kwargs: Keyword arguments.
        **kwargs: As for :class:`FeedPlanOperator`.
    """

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *FeedPlanOperator.template_fields)
    custom_operator_name = "@task.tc_transform"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        # The base checks the call against the function's signature, of which the DataFrame is the first argument.
        with_frame = (None, *(op_args or ()))
        super().__init__(python_callable=python_callable, op_args=with_frame, op_kwargs=op_kwargs, **kwargs)

    def transforms_of_try(self, context: Context) -> Sequence[Transform | Function | str]:
        """Return the transforms named, and the decorated function."""
        last = as_transform(self.python_callable)
        arguments, options = tuple(self.op_args)[1:], dict(self.op_kwargs)
        if arguments or options:
            bound = update_wrapper(partial(_with_arguments, last.function, arguments, options), last.function)
            last = Transform(cast(Function, bound), last.on, last.columns)
        return [*super().transforms_of_try(context), last]


def _with_arguments(function: Function, arguments: tuple[Any, ...], options: dict[str, Any], frame: Any) -> Any:
    return function(frame, *arguments, **options)


def transform_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """Make a function from DataFrame to DataFrame a task that plans the load of a feed with it.

    ::

        @task.tc_transform(feed="/data/feed.csv", tc_owner="My Source")
        def plan(df):
            df["confidence"] = 80
            return df

        ThreatConnectBatchUploadOperator(task_id="upload", run_dir=plan()["run_dir"])

    Args:
        python_callable: The function.
        **kwargs: As for :class:`tcetl.airflow.operators.feed.FeedPlanOperator`.
    """
    kwargs.setdefault("multiple_outputs", True)
    return task_decorator_factory(
        python_callable=python_callable, decorated_operator_class=TransformDecoratedOperator, **kwargs
    )
