"""The verbs that people call: load, estimate, compare, sweep, search, train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hwsim import plugins
from hwsim.cost import Program, Target, Verdict
from hwsim.errors import DoesNotFit, InputError, UnknownName
from hwsim.estimate import NOT_VALIDATED, Estimate
from hwsim.graph import Graph

if TYPE_CHECKING:
    from hwsim.conventions import OperationEnergy

PHASES = ("prefill", "decode")


def load(
    model: Any,
    *,
    batch: int | None = None,
    seq_len: int | None = None,
    dims: Mapping[str, int] | None = None,
    allow_unsupported: bool = False,
    passes: Sequence[Any] = (),
    **options: Any,
) -> Graph:
    """The graph of a network.

    Args:
        model: a Graph (returned as it is), a path to an ONNX, QONNX, Keras (`.keras`, `.h5`, JSON), NIR, wa-hls4ml or YAML file, a name
            (`resnet50`, `timm:resnet50`, `hf:bert-base-uncased`, `hf:LlamaConfig?hidden_size=2048`), or a live torch module, Keras
            model or hls4ml model.
        batch: samples an inference.
        seq_len: tokens a sample, where the network takes a sequence.
        dims: values of symbolic dimensions by name.
        allow_unsupported: leave operators without a rule out, instead of refusing the network.
        passes: what is done to the graph, in order: names with options (`rate-coded?timesteps=32`) or callables.
        options: passed to the front end.

    Raises:
        InputError: nothing reads `model`, or what reads it finds a fault.
    """
    if not isinstance(model, Graph):
        given = {"batch": batch, "seq_len": seq_len, "dims": dict(dims or {}), "allow_unsupported": allow_unsupported}
        model = _frontend(model).load(model, **given, **options)
    if not passes:
        return model
    from hwsim.passes.catalog import applied

    return applied(model, passes)


def _frontend(model: Any) -> Any:
    for name in sorted(plugins.available("hwsim.frontends"), reverse=True):
        candidate = plugins.load("hwsim.frontends", name)
        if candidate.accepts(model):
            return candidate
    raise _nobody_reads(model)


def _nobody_reads(model: Any) -> InputError:
    if not isinstance(model, str):
        return InputError(f"no front end reads a {type(model).__name__}; expected a name, a path, a torch module or a Graph")
    zoo = plugins.load("hwsim.frontends", "zoo")
    return UnknownName("model", model, zoo.names())


def find(device: str | Any, *, overrides: Mapping[str, Any] | None = None) -> tuple[Target, Any]:
    """The target family and the device of that name (or of that YAML file), with quantities changed.

    Raises:
        UnknownName: no family knows it.
        InputError: a wrong override.
    """
    from hwsim import shelf

    family = shelf.family_of(device) if isinstance(device, str) else device.family
    target = plugins.load("hwsim.targets", family)
    found = target.device(device) if isinstance(device, str) else device
    return target, found.with_overrides(overrides) if overrides else found


def estimate(
    model: Any,
    target: str | Any,
    *,
    batch: int | None = None,
    seq_len: int | None = None,
    phase: str | None = None,
    kv_len: int | None = None,
    set: Mapping[str, Any] | None = None,  # noqa: A002 - the option's name everywhere
    method: str = "closed-form",
    must_fit: bool = False,
    dims: Mapping[str, int] | None = None,
    allow_unsupported: bool = False,
    passes: Sequence[Any] = (),
    conventions: Sequence[str] = (),
    rates: Any = None,
    **mapping: Any,
) -> Estimate:
    """Cost of a network on a device.

    Args:
        model: what `load` takes.
        target: name of a device (`hwsim targets list`), path of a device file, or a device object.
        phase: `prefill` or `decode` of a network that generates tokens. Without it such a network is costed for a
            prefill of `seq_len` tokens, and the decode step that follows stands under `.decode`.
        kv_len: tokens in the cache before a decode step; by default `seq_len`.
        set: device quantities to change, by field, with units (`{"sm_count": 132, "dram_b_per_s": "4.8 TB/s"}`).
        method: `closed-form`, `surrogate:NAME`, or `auto` (a surrogate where one is known to be better, else the closed form).
        must_fit: raise instead of reporting that it does not fit.
        passes: what is done to the graph first, as for `load`.
        conventions: names of conventions (`hwsim operations --list`) under which operations are counted, beside the estimate.
        rates: path of a file with firing rates by layer, for conventions and for families that know spikes.
        mapping: options of the family (GPU: dtype, runtime, layout ...).

    >>> import hwsim
    >>> e = hwsim.estimate("resnet50", "a100-sxm-80gb", batch=8)
    >>> e.fits
    True
    """
    load_options = {"batch": batch, "dims": dims, "allow_unsupported": allow_unsupported, "passes": passes}
    work = workload(model, phase=phase, seq_len=seq_len, kv_len=kv_len, **load_options)
    family, device = find(target, overrides=set)
    if rates is not None and ("rates" in family.mapping_options or not conventions):
        mapping["rates"] = rates
    result = _run(work, family, device, method=method, must_fit=must_fit, options=mapping)
    return replace(result, conventions=_counted(work.graph, conventions, rates=rates, mapping=result.mapping)) if conventions else result


def _counted(graph: Graph, names: Sequence[str], *, rates: Any, mapping: Any) -> tuple[OperationEnergy, ...]:
    """Operation counts of the network as it is run (timesteps of the mapping, where it has any)."""
    from hwsim.conventions import convention, operation_energy
    from hwsim.rates import Rates

    given = None if rates is None else Rates.read(rates)
    if timesteps := getattr(mapping, "timesteps", None):
        graph = graph.replace(attrs={**graph.attrs, "timesteps": timesteps})
    return tuple(operation_energy(graph, convention=convention(name), rates=given) for name in dict.fromkeys(names))


@dataclass(frozen=True)
class Workload:
    """What is to be run: a graph, and for a network that generates tokens the decode step beside its prefill."""

    graph: Graph
    phase: str | None = None
    decode: Graph | None = None


def workload(
    model: Any, *, phase: str | None = None, seq_len: int | None = None, kv_len: int | None = None, **load_options: Any
) -> Workload:
    """The graphs that an estimate needs; arguments as for `estimate`.

    Raises:
        UnknownName: a phase that is neither `prefill` nor `decode`.
    """
    if phase not in (None, *PHASES):
        raise UnknownName("phase", phase, PHASES)
    if phase == "decode":
        return Workload(_decode_graph(model, seq_len=seq_len, kv_len=kv_len, **load_options), phase)
    graph = load(model, seq_len=seq_len, **load_options)
    if isinstance(model, Graph) or phase == "prefill" or not generates_tokens(graph):
        return Workload(graph, phase)
    length = kv_len or graph.attrs["seq_len"]
    return Workload(graph, "prefill", _decode_graph(model, seq_len=None, kv_len=length, **load_options))


def _run(work: Workload, family: Target, device: Any, *, method: str, must_fit: bool, options: Mapping[str, Any]) -> Estimate:
    brought = getattr(family, "graph_options", None)
    run = _Runner(family, device, family.mapping(**{**(brought(work.graph) if brought else {}), **options}), method)
    step = None if work.decode is None else run(work.decode, phase="decode")
    result = run(work.graph, phase=work.phase, decode=step)
    if must_fit and not result.fits:
        raise DoesNotFit(f"{result.model} does not fit on {result.target}: it {'; it '.join(result.reasons)}")
    return result


def estimated(graph: Graph, family: Target, device: Any, *, mapping: Any, method: str = "closed-form") -> Estimate:
    """The estimate of a graph under a mapping that is made already."""
    return _Runner(family, device, mapping, method)(graph)


def generates_tokens(graph: Graph) -> bool:
    """Whether the network keeps a cache or a recurrent state from token to token."""
    return graph.state_b > 0 and "seq_len" in graph.attrs


def _decode_graph(model: Any, *, seq_len: int | None, kv_len: int | None, **common: Any) -> Graph:
    from hwsim.passes.kv_cache import WithKvCache

    if isinstance(model, Graph):
        changed = load(model, passes=common.get("passes", ()))
        return changed if kv_len is None else WithKvCache(kv_len=kv_len)(changed)
    length = kv_len if kv_len is not None else seq_len
    return WithKvCache(kv_len=1024 if length is None else length)(load(model, seq_len=1, **common))


class _Runner:
    """One family, device and mapping, applied to graphs."""

    def __init__(self, family: Target, device: Any, mapping: Any, method: str) -> None:
        self.family, self.device, self.mapping, self.method = family, device, mapping, method

    def __call__(self, graph: Graph, **facts: Any) -> Estimate:
        from hwsim.surrogates.methods import answer
        from hwsim.validation import intervals

        program = lowered(self.family, graph, device=self.device, mapping=self.mapping)
        found = answer(self.method, program, device=self.device, mapping=self.mapping)
        cost = found.cost
        ranges = {**intervals(program, cost, device=self.device, mapping=self.mapping, method=found.method), **found.intervals}
        judge = getattr(self.family, "verdict", None)
        said = judge(program, cost, device=self.device, mapping=self.mapping) if judge else Verdict()
        return Estimate(
            program,
            self.device,
            self.mapping,
            cost,
            tuple(self.family.binding(cost)),
            method=found.method,
            latency_interval=ranges.get("latency", NOT_VALIDATED),
            energy_interval=ranges.get("energy", NOT_VALIDATED),
            resource_intervals={name: ranges[name] for name in cost.resources if name in ranges},
            facts=self.family.facts(self.device, self.mapping),
            blockers=said.blockers,
            warnings=(*graph.attrs.get("notes", ()), *program.warnings, *said.warnings, *found.warnings),
            **facts,
        )


def lowered(family: Target, graph: Graph, *, device: Any, mapping: Any) -> Program:
    """The program of a graph, kept with the graph so that the next device or sweep does not lower it again."""
    cache = graph.__dict__.setdefault("_programs", {})
    key = (family.family, mapping, getattr(device, "capabilities", None))
    if key not in cache:
        cache[key] = family.lower(graph, device=device, mapping=mapping)
    return cache[key]


def compare(
    model: Any,
    targets: Sequence[Any],
    *,
    set: Mapping[str, Any] | None = None,  # noqa: A002 - the option's name everywhere
    method: str = "closed-form",
    must_fit: bool = False,
    phase: str | None = None,
    seq_len: int | None = None,
    kv_len: int | None = None,
    batch: int | None = None,
    dims: Mapping[str, int] | None = None,
    allow_unsupported: bool = False,
    passes: Sequence[Any] = (),
    **mapping: Any,
) -> list[Estimate]:
    """One estimate a target of the same network, which is loaded once; arguments as for `estimate`.

    Each family takes the mapping options that it knows, so that GPUs and FPGAs can stand side by side. A surrogate answers for its own
    family; the others keep their closed form.
    """
    load_options = {"batch": batch, "dims": dims, "allow_unsupported": allow_unsupported, "passes": passes}
    work = workload(model, phase=phase, seq_len=seq_len, kv_len=kv_len, **load_options)
    found = [find(t, overrides=set) for t in targets]
    chosen = _options_by_family([family for family, _ in found], mapping)
    who = {f.family: _method_of(method, f.family, several=len(chosen) > 1) for f, _ in found}
    return [_run(work, f, d, method=who[f.family], must_fit=must_fit, options=chosen[f.family]) for f, d in found]


def _method_of(method: str, family: str, *, several: bool) -> str:
    """Who answers for a family among several: a surrogate for its own, the closed form for the others."""
    from hwsim.surrogates.methods import CLOSED_FORM, PREFIX

    if not (several and method.startswith(PREFIX)):
        return method
    from hwsim.surrogates import store

    return method if store.read(method.removeprefix(PREFIX)).config["family"] == family else CLOSED_FORM


def _options_by_family(families: Sequence[Target], mapping: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The mapping options of each family: those that it knows, and those that are meant for it alone (`gpu.dtype`).

    Raises:
        UnknownName: an option that no family knows.
    """
    known = {f.family: tuple(f.mapping_options) for f in families}
    shared = dict.fromkeys(name for names in known.values() for name in names)
    for name in mapping:
        if "." not in name and name not in shared:
            raise UnknownName(f"mapping option of {' or '.join(known)}:", name, shared)
    chosen = {family: {k: v for k, v in mapping.items() if k in names} for family, names in known.items()}
    for name, value in mapping.items():
        family, dot, own = name.partition(".")
        if dot and family in chosen:
            chosen[family][own] = value
    return chosen


def sweep(
    model: Any,
    target: Any,
    *,
    vary: Mapping[str, Any] | None = None,
    model_axes: Mapping[str, Any] | None = None,
    where: str | Sequence[str] = "fits",
    pareto: str | Sequence[str] = (),
    best: str = "",
    sample: str = "grid",
    points: int = 0,
    seed: int = 0,
    set: Mapping[str, Any] | None = None,  # noqa: A002 - the option's name everywhere
    load: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    method: str = "closed-form",
    **mapping: Any,
) -> Any:
    """Cost of many design points: the best ones, the Pareto front, and why the others fail.

    Args:
        model: what `load` takes, a function that makes it (its arguments are `model_axes`), or a list of models.
        target: a device as for `estimate`, or a list of devices.
        vary: values by axis: device quantities, mapping choices, `batch` ...; `"64:256:8"`, `"1TB/s..8TB/s x32 log"`, or a list.
        model_axes: values by option of the model's builder.
        where: conditions, such as `"fits and latency < 2us"`.
        pareto: objectives of the front, `"latency,energy"`.
        best: metric of the best point, `"max:throughput_per_s"` where more is better; by default the first objective, else latency.
        sample: grid, random, lhs or sobol, the last three with a number of `points` and a `seed`.
        load: arguments of `load` that all points share: batch, seq_len, dims, passes ...
        run: how it is run: backend, processes, out, progress ... (`hwsim.sweep.running.execute`).
        method: who answers at every point: `closed-form` or `surrogate:NAME`, which is slower and gives no ranges.
        mapping: mapping options that all points share.

    >>> import hwsim
    >>> s = hwsim.sweep("resnet50", "a100-sxm-80gb", vary={"sm_count": "64:128:32", "batch": [1, 8]}, pareto="latency,energy")
    >>> s.counts.points, s.best().axes["batch"]
    (6, 1)

    Raises:
        UnknownName: an axis, metric, model or device that does not exist.
        InputError: values or conditions that cannot be.
    """
    from hwsim.sweep.build import space
    from hwsim.sweep.plan import plan
    from hwsim.sweep.running import execute

    made = space(
        model,
        target,
        vary=vary or {},
        model_axes=model_axes,
        load=load,
        mapping=mapping,
        set=set,
        method=method,
        **{"sample": sample, "points": points, "seed": seed},
    )
    conditions = (where,) if isinstance(where, str) else tuple(where)
    return execute(plan(made, where=[c for c in conditions if c], pareto=pareto, best=best), **(run or {}))


def search(
    model: Any,
    target: Any,
    *,
    trials: int,
    vary: Mapping[str, Any] | None = None,
    model_axes: Mapping[str, Any] | None = None,
    where: str | Sequence[str] = "fits",
    pareto: str | Sequence[str] = (),
    best: str = "",
    metrics: Mapping[str, Any] | None = None,
    set: Mapping[str, Any] | None = None,  # noqa: A002 - the option's name everywhere
    load: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    **mapping: Any,
) -> Any:
    """Designs that a sampler proposes, where a grid is too large or a builder is in the loop; axes as for `sweep`, ranges without steps.

    Args:
        trials: designs to try.
        metrics: numbers of the caller's own, by name: functions of the axes of a design, such as an accuracy; `where`, `pareto` and `best`
            may speak of them.
        run: sampler, storage, study, seed, population, progress (`hwsim.search.study.search`).

    Raises:
        UnknownName: an axis, metric, model or device that does not exist.
        InputError: values or conditions that cannot be.
        MissingExtra: optuna is not installed.
    """
    from hwsim.search.study import search as run_study
    from hwsim.sweep.build import space
    from hwsim.sweep.plan import plan

    made = space(model, target, vary=vary or {}, model_axes=model_axes, load=load, mapping=mapping, set=set, free=True)
    conditions = [c for c in ((where,) if isinstance(where, str) else tuple(where)) if c]
    asked = plan(made, where=conditions, pareto=pareto, best=best, search=True, extra=dict.fromkeys(metrics or {}, ""))
    return run_study(asked, trials=trials, metrics=metrics, **(run or {}))


def train(
    recipe: Any = None,
    *,
    data: Any = None,
    out: Any = None,
    epochs: int | None = None,
    seeds: Sequence[int] = (),
    html: Any = None,
    tell: Any = None,
    **loop: Any,
) -> Any:
    """Train a surrogate from a recipe, or from measurements alone, and write its folder.

    Args:
        recipe: path of a YAML file, or a `hwsim.surrogates.training.recipe.Recipe`. Without one the data set says which family, metrics and
            groups there are, and a linear correction of the closed form is learned that few rows can bear.
        data: a data set (name, folder, `.parquet` or `.csv` file) instead of the recipe's.
        out: folder of the surrogate; by default on the shelf under the recipe's name.
        epochs: instead of the recipe's.
        seeds: instead of the recipe's, one a member.
        html: file of a page with learning curves, parity plots, errors and coverage.
        tell: called with a line of progress now and then.
        loop: for networks: `folder` (checkpoints and logs; a training that was stopped goes on there), `resume`, `devices`.

    Returns:
        `hwsim.surrogates.training.verb.Trained`: what was stored, its folder, and the judged predictions.

    Raises:
        InputError: the recipe or the data cannot be used; says file, row and column.
        DataMissing: measurements that the recipe names are not there.
    """
    from hwsim.surrogates.training.verb import train as run

    return run(recipe, data=data, out=out, epochs=epochs, seeds=seeds, html=html, tell=tell, **loop)
