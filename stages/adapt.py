"""The adapt stage: the source model adapted to one unlabelled target by ``adapt.method`` (stage 2)."""

from pipeline.adaptation import Adaptation, adapt
from pipeline.command_line import run
from pipeline.compute.team import Team
from pipeline.config import dependencies, paths
from pipeline.config.load import load
from pipeline.config.paths import AdaptationPaths
from pipeline.config.preflight import require_target
from pipeline.config.schema import Params
from pipeline.data.prepared import PreparedData
from pipeline.methods import implementation
from pipeline.networks import trained
from pipeline.tracking.runs import stage_run
from pipeline.training import loop


def main(target: str) -> None:
    """Adapt to TARGET without its labels; write models/adapted/TARGET, its predictions and the loss curve."""
    settings = load()
    require_target(settings, target)
    with Team.start(settings.device, settings.compute) as team:
        train(settings, target, team)


def train(settings: Params, target: str, team: Team) -> None:
    """Adapt in one process of the team."""
    loop.prepare(settings.seed, team.device)
    work = Adaptation(
        trained=trained.open_model(paths.PROTOTYPES),
        source=PreparedData.open(settings.source),
        target=PreparedData.open(target),
        params=settings.adapt,
        augment=settings.augment,
        seed=settings.seed,
        known_classes=settings.split[target].classes,
        code=dependencies.code_digests("adapt", settings, implementation(settings.adapt)),
        outputs=AdaptationPaths.of_target(target),
    )
    adapt(
        work,
        lambda checkpoint: stage_run(settings, "adapt", target, checkpoint),
        team,
        f"{settings.tracking.experiment}-{target}",
    )


if __name__ == "__main__":
    run(main)
