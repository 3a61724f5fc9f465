"""AGRA: holistic and local features that pass through graphs within and between domains (Xie et al., ACM MM 2020)."""

from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.compute.device import upload
from pipeline.config.methods.agra import AgraParams
from pipeline.config.schema import ModelParams
from pipeline.data.batches import DeviceCrops, generator_for
from pipeline.labels import NUM_CLASSES
from pipeline.losses.classification import weighted_cross_entropy
from pipeline.losses.domain import lambda_t
from pipeline.methods.cdan import certainty, multilinear
from pipeline.methods.parts.adversary import Discriminator, domain_loss, reversed_gradient
from pipeline.methods.parts.graphs import NODES, Means, Propagation
from pipeline.methods.parts.regions import REGIONS, Regions, WithRegions
from pipeline.methods.parts.two_domains import Domains, TwoDomains
from pipeline.networks.inference import evaluating, evaluation_views
from pipeline.networks.network import Decision, Network, PrototypeClassifier, Prototypes, unit_rows

CLUSTERED = 4096
"""Pictures of each domain from which its clusters are made, at most."""


class Graphs(nn.Module):
    """All that stands behind z and the local features: nodes, both domains' statistics, the graphs and their scores.

    scores, local_scores: k×(6·width) and k×(5·width), what classes are scored by from the nodes after the graphs, and
    from the local ones alone. The first begin at 0.
    """

    def __init__(self, dim: int, width: int, momentum: float, gathered: int) -> None:
        super().__init__()
        self.width, self.factor = width, dim**0.5
        self.holistic = nn.Linear(dim, width)
        self.source, self.target = (Means(NODES * width, momentum, gathered) for _ in range(2))
        self.propagation = Propagation(width)
        self.scores = nn.Parameter(torch.zeros(NUM_CLASSES, NODES * width))
        self.local_scores = nn.Parameter(nn.init.xavier_normal_(torch.empty(NUM_CLASSES, REGIONS * width)))

    def features(self, z: Tensor, local: Tensor) -> Tensor:
        """A picture's holistic and local features: N×d and N×(5·width) in, N×(6·width) out."""
        return torch.cat([F.relu(self.holistic(self.factor * z)), local], dim=1)

    def of_source(self, features: Tensor, kept: Tensor | None = None) -> Tensor:
        """What becomes of source pictures' features beside the nearest cluster of the target: N×(6·width) each."""
        return self._propagated(self.source.norm(features), self.target.like(features), kept)[:, 0]

    def of_target(self, features: Tensor, kept: Tensor | None = None) -> Tensor:
        """The same of target pictures' features beside the nearest cluster of the source."""
        return self._propagated(self.source.like(features), self.target.norm(features), kept)[:, 1]

    def _propagated(self, source: Tensor, target: Tensor, kept: Tensor | None) -> Tensor:
        nodes = torch.stack([source, target], dim=1).view(-1, 2 * NODES, self.width)
        return self.propagation(nodes, kept).view(-1, 2, NODES * self.width)


class AgraClassifier(PrototypeClassifier):
    """softmax(z·Mᵀ + what the graphs score), for pictures of the target; other pictures are taken for such, too."""

    def __init__(
        self, network: Network, prototypes: Prototypes, regions: Regions, graphs: Graphs, decision: Decision | None = None
    ) -> None:
        super().__init__(network, prototypes, decision)
        self.regions, self.graphs = regions, graphs

    @classmethod
    def blank(cls, params: ModelParams) -> Self:
        """As large as published."""
        width = AgraParams.model_fields["width"].default
        network, dim = Network(params), params.projection_dim
        return cls(network, Prototypes(dim), Regions(network.encoder, width), Graphs(dim, width, 0.0, 0))

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """z with the features after the graphs, made unit ones; and probabilities."""
        z, local = self.observed(images)
        propagated = self.graphs.of_target(self.graphs.features(z, local))
        probabilities: Tensor = self.decision(self.prototypes(z) + propagated @ self.graphs.scores.T)
        return torch.cat([z, unit_rows(propagated)], dim=1), probabilities

    def observed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """z and local features of a batch of images."""
        z, local = WithRegions(self.network, self.regions)(images).split(
            [self.network.head.dim, REGIONS * self.regions.width], dim=1
        )
        return z, local


class Agra(TwoDomains):
    """CDAN+E on the features after the graphs; the local branches and the graphs start from nothing, beside M_s."""

    params: AgraParams
    model: AgraClassifier

    def prepare(self) -> None:
        """Besides what other methods have, the branches are trained: by all processes' parts, at the rate of M."""
        width = self.params.width
        self.regions = Regions(self.source_model.network.encoder, width)
        self.regions.landmarks.load()
        self.regions.to(self.target.crops.device, next(self.source_model.network.parameters()).dtype)
        super().prepare()
        self.optimiser.add_param_group({"params": list(self.regions.branches.parameters()), "lr": self._rates[-1]})
        self._rates.append(self._rates[-1])
        self.parts["regions"] = self.regions

    def own_modules(self) -> dict[str, nn.Module]:
        """Graphs and discriminator."""
        params, dim = self.params, self.network.head.dim
        seen = NUM_CLASSES * NODES * params.width
        return {
            "graphs": Graphs(dim, params.width, params.momentum_of_means, params.gathered),
            "discriminator": Discriminator(seen, params.hidden, norm=seen**0.5),
        }

    def averaged(self) -> dict[str, nn.Module]:
        """Branches and graphs predict, too."""
        return {**super().averaged(), "regions": self.regions, "graphs": self.own["graphs"]}

    def embedder(self) -> nn.Module:
        """z and the local features."""
        return WithRegions(self.network, self.regions)

    def _predictor(self) -> AgraClassifier:
        plain = super()._predictor()
        regions, graphs = self._average["regions"], self._average["graphs"]
        assert isinstance(regions, Regions)
        assert isinstance(graphs, Graphs)
        return AgraClassifier(plain.network, plain.prototypes, regions, graphs, plain.decision)

    def look_at_target(self, epoch: int, z: Tensor, probabilities: Tensor) -> dict[str, float]:
        """Begin the epoch's dropout; cluster both domains before the first, the second and every tenth epoch."""
        self._generator = generator_for(self.seed, f"{self.name} dropout", epoch)
        # The branches start from nothing, so that the first clusters mean little after an epoch.
        if epoch == 1 or epoch % self.params.recluster == 0:
            graphs = self.own["graphs"]
            assert isinstance(graphs, Graphs)
            for domain, crops, rows in (
                (graphs.source, self.source.crops, self.source.rows),
                (graphs.target, self.target.crops, self.target.train_rows),
            ):
                features = self._features(crops, rows[_evenly(len(rows))])
                domain.restart(self.team.of_leader(self._clusters(features)), features)
        return {}

    @torch.no_grad()
    def _features(self, crops: DeviceCrops, rows: Tensor) -> Tensor:
        """What is clustered, of the evaluation views of ``rows``: N×(6·width)."""
        own = rows[self.team.part(len(rows))]
        model = AgraClassifier(self.network, self.prototypes, self.regions, self.own["graphs"])
        with evaluating(model):
            views = evaluation_views(crops, own, self.augment_params.eval_crop, self.team.leads)
            found = torch.cat([model.graphs.features(*model.observed(images)) for images in views])
        return self.team.of_leader(self.team.whole(found, len(rows)))

    def _clusters(self, features: Tensor) -> Tensor:
        """k means; of fewer pictures than classes some come twice."""
        from sklearn.cluster import KMeans

        count = min(NUM_CLASSES, len(features))
        found = KMeans(count, n_init=10, random_state=self.seed).fit(features.double().cpu().numpy()).cluster_centers_
        return torch.from_numpy(found[[place % count for place in range(NUM_CLASSES)]]).to(features)

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        """Cross entropy of z, of the graphs' scores and of the local ones on the source; the conditional domain loss."""
        graphs = self.own["graphs"]
        assert isinstance(graphs, Graphs)
        dim = self.network.head.dim
        z = [both[:, :dim] for both in (batch.source, batch.target)]
        features = [graphs.features(both[:, :dim], both[:, dim:]) for both in (batch.source, batch.target)]
        graphs.source.follow(features[0].detach())
        graphs.target.follow(features[1].detach())
        after = [
            graphs.of_source(features[0], self._kept(len(features[0]))),
            graphs.of_target(features[1], self._kept(len(features[1]))),
        ]
        local = after[0][:, self.params.width :]
        return {
            "source": self.supervised(replace(batch, source=z[0])),
            "graphs": weighted_cross_entropy(after[0], graphs.scores, batch.labels, self._weights),
            "local": self.params.local_weight
            * weighted_cross_entropy(local, graphs.local_scores, batch.labels, self._weights),
            "domain": self.params.weight * self._domain(z, after, batch.progress),
        }

    def _domain(self, z: list[Tensor], after: list[Tensor], progress: float) -> Tensor:
        logits, weights = [], []
        for of_one, features in zip(z, after, strict=True):
            scores = self.prototypes(of_one) + features @ self.own["graphs"].get_parameter("scores").T
            probabilities = torch.softmax(scores, dim=1).detach()
            joint = multilinear(reversed_gradient(features, lambda_t(progress)), probabilities)
            logits.append(self.own["discriminator"](joint))
            weights.append(certainty(probabilities))
        return domain_loss(*logits, *weights)

    def _kept(self, count: int) -> Tensor:
        """Dropout of the inner features: every process draws the same for all pictures."""
        share = 1.0 - self.params.dropout
        drawn = torch.rand(count, 2 * NODES, 2 * self.params.width, generator=self._generator) < share
        return upload(drawn, self.team.device).float() / share


def _evenly(count: int) -> Tensor:
    """At most ``CLUSTERED`` places among ``count``, spread over all (int64)."""
    return torch.arange(min(count, CLUSTERED)) * count // max(min(count, CLUSTERED), 1)
