"""AGRA: holistic and local features that pass through graphs within and between domains (Xie et al., ACM MM 2020)."""

from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.compute.device import upload
from pipeline.config.learning import ModelParams
from pipeline.config.methods.agra import AgraParams
from pipeline.data.batches import DeviceCrops, generator_for
from pipeline.labels import NUM_CLASSES
from pipeline.losses.classification import weighted_cross_entropy
from pipeline.losses.domain import lambda_t
from pipeline.methods.parts.adversary import Discriminator, certainty, domain_loss, multilinear, reversed_gradient
from pipeline.methods.parts.graphs import INNER, NODES, Means, Propagation
from pipeline.methods.parts.regions import REGIONS, WIDTH, Regions, WithRegions
from pipeline.methods.parts.two_domains import Domains, TwoDomains
from pipeline.networks.inference import evaluating, evaluation_views
from pipeline.networks.network import PrototypeClassifier, unit_rows

CLUSTERED = 4096
"""Pictures of each domain from which its clusters are made, at most."""


class Graphs(nn.Module):
    """All that stands behind z and the local features: nodes, both domains' statistics, the graphs and their scores.

    dim: of z. scores, local_scores: k×(6·64) and k×(5·64), what classes are scored by from the nodes after the graphs,
    and from the local ones alone. The first begin at 0.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.factor = dim**0.5
        self.holistic = nn.Linear(dim, WIDTH)
        self.source, self.target = Means(), Means()
        self.propagation = Propagation()
        self.scores = nn.Parameter(torch.zeros(NUM_CLASSES, NODES * WIDTH))
        self.local_scores = nn.Parameter(nn.init.xavier_normal_(torch.empty(NUM_CLASSES, REGIONS * WIDTH)))

    def features(self, observed: Tensor) -> Tensor:
        """A picture's z with its local features (``WithRegions``) in, its holistic and local ones out: N×(6·64)."""
        z, local = observed.tensor_split([observed.shape[1] - REGIONS * WIDTH], dim=1)
        return torch.cat([F.relu(self.holistic(self.factor * z)), local], dim=1)

    def of_source(self, features: Tensor, kept: Tensor | None = None) -> Tensor:
        """What becomes of source pictures' features beside the nearest cluster of the target: N×(6·64) each."""
        return self._propagated(self.source.norm(features), self.target.like(features), kept)[:, 0]

    def of_target(self, features: Tensor, kept: Tensor | None = None) -> Tensor:
        """The same of target pictures' features beside the nearest cluster of the source."""
        return self._propagated(self.source.like(features), self.target.norm(features), kept)[:, 1]

    def _propagated(self, source: Tensor, target: Tensor, kept: Tensor | None) -> Tensor:
        nodes = torch.stack([source, target], dim=1).view(-1, 2 * NODES, WIDTH)
        after: Tensor = self.propagation(nodes, kept)
        return after.reshape(-1, 2, NODES * WIDTH)


class AgraClassifier(PrototypeClassifier):
    """softmax(z·Mᵀ + what the graphs score), for pictures of the target; other pictures are taken for such, too."""

    def __init__(self, plain: PrototypeClassifier, regions: Regions, graphs: Graphs) -> None:
        """``plain``: f, g and M, which are shared."""
        super().__init__(plain.network, plain.prototypes, plain.decision)
        self.regions, self.graphs = regions, graphs

    @classmethod
    def untrained(cls, params: ModelParams) -> Self:
        """f, g, a prototype matrix, branches and graphs."""
        plain = PrototypeClassifier.untrained(params)
        return cls(plain, Regions(plain.network.encoder), Graphs(params.projection_dim))

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """z with the features after the graphs, made unit ones; and probabilities."""
        observed = WithRegions(self.network, self.regions)(images)
        z = observed[:, : self.network.head.dim]
        after = self.graphs.of_target(self.graphs.features(observed))
        probabilities: Tensor = self.decision(self.prototypes(z) + after @ self.graphs.scores.T)
        return torch.cat([z, unit_rows(after)], dim=1), probabilities


class Agra(TwoDomains):
    """CDAN+E on the features after the graphs; the local branches and the graphs start from nothing, beside M_s."""

    params: AgraParams
    model: AgraClassifier

    def prepare(self) -> None:
        """Beside what other methods train there are the branches: by all processes' parts, at the rate of M."""
        network = self.source_model.network
        self.regions = Regions(network.encoder)
        self.regions.landmarks.load()
        self.regions.to(self.target.crops.device, next(network.parameters()).dtype)  # as f, whose map it takes
        super().prepare()
        self.optimiser.add_param_group({"params": list(self.regions.branches.parameters()), "lr": self._rates[-1]})
        self._rates.append(self._rates[-1])
        self.parts["regions"] = self.regions

    def own_modules(self) -> dict[str, nn.Module]:
        """Graphs and discriminator."""
        self.graphs = Graphs(self.network.head.dim)
        return {
            "graphs": self.graphs,
            "discriminator": Discriminator(NUM_CLASSES * NODES * WIDTH, self.params.hidden),
        }

    def averaged(self) -> dict[str, nn.Module]:
        """Branches and graphs predict, too."""
        return {**super().averaged(), "regions": self.regions, "graphs": self.graphs}

    def embedder(self) -> nn.Module:
        """z and the local features."""
        return WithRegions(self.network, self.regions)

    def _predictor(self) -> AgraClassifier:
        regions, graphs = self._average["regions"], self._average["graphs"]
        assert isinstance(regions, Regions)
        assert isinstance(graphs, Graphs)
        return AgraClassifier(super()._predictor(), regions, graphs)

    def look_at_target(self, epoch: int) -> dict[str, float]:
        """Begin the epoch's dropout; cluster both domains before the first, the second and every tenth epoch."""
        self._generator = generator_for(self.seed, f"{self.name} dropout", epoch)
        # The branches start from nothing, so that the first clusters mean little after an epoch.
        if epoch == 1 or epoch % self.params.recluster == 0:
            self._restart(self.graphs.source, self.source.crops, self.source.rows)
            self._restart(self.graphs.target, self.target.crops, self.target.train_rows)
        return super().look_at_target(epoch)

    def _restart(self, domain: Means, crops: DeviceCrops, rows: Tensor) -> None:
        """The k means of the features of ``rows``; of fewer pictures than classes some come twice."""
        from sklearn.cluster import KMeans

        chosen = min(len(rows), CLUSTERED)
        features = self._features(crops, rows[torch.arange(chosen) * len(rows) // chosen])
        count = min(NUM_CLASSES, chosen)
        found = KMeans(count, n_init=10, random_state=self.seed).fit(features.double().cpu().numpy()).cluster_centers_
        means = torch.from_numpy(found[[place % count for place in range(NUM_CLASSES)]]).to(features)
        domain.restart(self.team.from_leader(means), features)

    @torch.no_grad()
    def _features(self, crops: DeviceCrops, rows: Tensor) -> Tensor:
        """Holistic and local features of the evaluation views of ``rows``: N×(6·64)."""
        own = rows[self.team.part(len(rows))]
        embedder = WithRegions(self.network, self.regions)
        with evaluating(embedder):
            views = evaluation_views(crops, own, self.augment_params.eval_crop, self.team.leads)
            found = torch.cat([self.graphs.features(embedder(images)) for images in views])
        return self.team.from_leader(self.team.gather(found, len(rows)))

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        """Cross entropy by z, by the graphs and by their local nodes on the source; the conditional domain loss."""
        graphs, params, dim = self.graphs, self.params, self.network.head.dim
        source, target = (graphs.features(observed) for observed in (batch.source, batch.target))
        for domain, features in ((graphs.source, source), (graphs.target, target)):
            domain.follow(features.detach(), params.momentum_of_means, params.gathered)
        after = graphs.of_source(source, self._kept(len(source))), graphs.of_target(target, self._kept(len(target)))
        z = batch.source[:, :dim], batch.target[:, :dim]
        local = weighted_cross_entropy(after[0][:, WIDTH:], graphs.local_scores, batch.labels, self._weights)
        return {
            "source": self.supervised(replace(batch, source=z[0])),
            "graphs": weighted_cross_entropy(after[0], graphs.scores, batch.labels, self._weights),
            "local": params.local_weight * local,
            "domain": params.weight * self._domain(z, after, batch.progress),
        }

    def _domain(self, z: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor], progress: float) -> Tensor:
        """That of CDAN+E, of the directions of both domains' features after the graphs."""
        logits, weights = [], []
        for of_one, features in zip(z, after, strict=True):
            scores = self.prototypes(of_one) + features @ self.graphs.scores.T
            probabilities = torch.softmax(scores, dim=1).detach()
            joint = multilinear(reversed_gradient(unit_rows(features), lambda_t(progress)), probabilities)
            logits.append(self.own["discriminator"](joint))
            weights.append(certainty(probabilities))
        return domain_loss(*logits, *weights)

    def _kept(self, count: int) -> Tensor:
        """Dropout of the inner features: every process draws the same for all pictures."""
        share = 1.0 - self.params.dropout
        drawn = torch.rand(count, 2 * NODES, INNER, generator=self._generator) < share
        return upload(drawn, self.team.device).float() / share
