"""AGRA: holistic and local features that pass through graphs within and between domains (Xie et al., ACM MM 2020).

From top to bottom: what a face shows around its landmarks (``Landmarks``, ``Regions``, ``WithRegions``), the graphs
that these features pass through (``DomainMeans``, ``Propagation``, ``Graphs``), the model that predicts
(``AgraClassifier``) and its training (``Agra``). Sizes and links of the graphs are those of the released code.

Landmarks are found in the very picture that the network sees, a view of a crop, by the last network of MTCNN. So they
follow a picture's crop, mirroring and enlargement; faces that another detector found have them as well; and whatever
predicts needs nothing but pictures.

It is one module because a stage depends on its method's module alone: what only AGRA uses makes only AGRA's results
stale.
"""

import itertools
import math
from dataclasses import replace
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.backbones.parts.resnet import BasicBlock
from pipeline.compute.device import upload
from pipeline.config.learning import ModelParams
from pipeline.config.methods.agra import AgraParams
from pipeline.data.batches import NetworkInputs, generator_for
from pipeline.data.crops import CROP_SIZE
from pipeline.errors import ParamsError
from pipeline.faces.networks import ONet, load_weights
from pipeline.labels import NUM_CLASSES
from pipeline.losses.classification import weighted_cross_entropy
from pipeline.losses.domain import lambda_t
from pipeline.methods.parts.adversary import Discriminator, certainty, domain_loss, multilinear, reversed_gradient
from pipeline.methods.parts.two_domains import Domains, TwoDomains
from pipeline.networks.inference import evaluating, evaluation_views
from pipeline.networks.network import Encoder, Network, PrototypeClassifier, unit_rows

REGIONS = 5
"""Left eye, right eye, nose, left and right mouth corner, as the viewer sees them."""

BORDER = 16
"""Pixels around a view in which O-Net looks for landmarks: a view shows less than the whole face that it expects."""

CELLS, SHARE = 7, 1 / 28
"""A region is 7×7 places, each a 28th of the picture's side from the next: 7×7 of the published 28×28 feature map."""

LEAST_SHARE = 1 / 5
"""A feature map is fine enough when its side is at least this share of the picture's, in pixels."""

WIDTH = 64
"""Features of a region."""

WIDEST = (256, 512)
"""Channels of a region's two stages, at most: those of the published network, twice and four times its map's 128."""

NODES = 1 + REGIONS
"""Of a domain: the holistic feature, then the local ones."""

INNER = 128
"""Features of a node between the two convolutions within its domain."""

HOLISTIC_LOCAL, LOCAL_LOCAL = 0.8, 0.5
"""Links within a domain to begin with."""

SAME_PLACE, HOLISTIC_LOCAL_ACROSS, LOCAL_LOCAL_ACROSS = 0.9, 0.4, 0.25
"""Links between the domains to begin with."""

CLUSTERED = 4096
"""Pictures of each domain from which its clusters are made, at most."""


class Landmarks(nn.Module):
    """Finds the five landmarks of faces; it has no gradient and is not trained.

    Float N×3×112×112 in [0, 1] in; N×5×2 out, x and y as shares of the picture's side.
    """

    def __init__(self) -> None:
        super().__init__()
        self.onet = ONet().requires_grad_(False)

    def load(self) -> None:
        """Take over the weights of the ``mtcnn`` package.

        Raises:
            WeightsError: they are missing.
        """
        load_weights(self.onet, "onet")

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):  # bf16 would move them by a pixel
            known = images.to(self.onet.landmarks.weight.dtype)
            bordered = F.pad(known, (BORDER,) * 4, mode="replicate")
            patches = F.avg_pool2d(bordered, bordered.shape[-1] // ONet.SIZE)
            _, _, shares = self.onet(patches * (255.0 / 128.0) - 127.5 / 128.0)
        side = images.shape[-1]
        found: Tensor = (shares.unflatten(1, (2, REGIONS)).transpose(1, 2) * (side + 2 * BORDER) - BORDER) / side
        return found


class Regions(nn.Module):
    """A branch of two residual stages for each landmark, on its region of the encoder's feature map.

    The map is the last one that is at least a fifth as wide as the picture.
    """

    def __init__(self, encoder: Encoder) -> None:
        """Find the feature map and make the branches.

        Raises:
            ParamsError: the backbone has no such feature map.
        """
        super().__init__()
        self.layer, channels = fine_layer(encoder)
        self.landmarks = Landmarks()
        self.branches = nn.ModuleList(_branch(channels) for _ in range(REGIONS))

    def forward(self, features: Tensor, landmarks: Tensor) -> Tensor:
        """Compute the local features.

        Args:
            features: the feature map, N×C×H×W float.
            landmarks: N×5×2 float, shares of the side.

        Returns:
            N×(5·64) float.
        """
        found = regions(features, landmarks.to(features.dtype))
        return torch.cat([branch(found[:, place]) for place, branch in enumerate(self.branches)], dim=1)


class WithRegions(nn.Module):
    """z, then what the regions show: float N×3×112×112 in, N×(d + 5·64) out."""

    def __init__(self, network: Network, regions: Regions) -> None:
        super().__init__()
        self.network, self.regions = network, regions

    def forward(self, images: Tensor) -> Tensor:
        kept: list[Tensor] = []
        layer = self.network.encoder.trunk.get_submodule(self.regions.layer)
        handle = layer.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
        try:
            z = self.network.head(self.network.encoder(images))
        finally:
            handle.remove()
        local = self.regions(kept[-1], self.regions.landmarks(images))
        return torch.cat([z, local.to(z.dtype)], dim=1)


def regions(features: Tensor, landmarks: Tensor) -> Tensor:
    """Sample the 7×7 places around each landmark, moved where they would reach beyond the picture.

    Args:
        features: N×C×H×W float.
        landmarks: N×5×2 float, x and y as shares of the side.

    Returns:
        N×5×C×7×7 float.
    """
    steps = SHARE * (torch.arange(CELLS, device=features.device, dtype=features.dtype) - CELLS // 2)
    margin = SHARE * CELLS / 2
    centres = landmarks.clamp(margin, 1.0 - margin)
    x, y = centres[:, :, None, :, None].unbind(dim=3)
    shape = (*centres.shape[:2], CELLS, CELLS)
    places = torch.stack([(x + steps).expand(shape), (y + steps[:, None]).expand(shape)], dim=4)
    grid = 2.0 * places.flatten(1, 2) - 1.0
    taken = F.grid_sample(features, grid, padding_mode="border", align_corners=False)
    by_landmark: Tensor = taken.unflatten(2, (REGIONS, CELLS)).transpose(1, 2)
    return by_landmark


def fine_layer(encoder: Encoder) -> tuple[str, int]:
    """Find the layer whose output is taken: its name within the encoder's trunk, and its channels.

    Raises:
        ParamsError: no layer gives such a feature map.
    """
    shapes: dict[str, torch.Size] = {}

    def note(name: str, _module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            shapes[name] = output.shape

    layers = [(name, layer) for name, layer in encoder.trunk.named_modules() if name]
    handles = [layer.register_forward_hook(partial(note, name)) for name, layer in layers]
    sizes: list[int] = []
    handles.append(encoder.trunk.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[-1])))
    example = torch.zeros(1, 3, CROP_SIZE, CROP_SIZE, device=next(encoder.parameters()).device)
    with torch.no_grad(), evaluating(encoder):
        encoder.features(example)
    for handle in handles:
        handle.remove()
    found = _last_fine(encoder.trunk, "", shapes, math.ceil(LEAST_SHARE * sizes[0]))
    if not found:
        raise ParamsError(
            "model.backbone: this network has no feature map that regions of a face can be taken from; "
            "choose a convolutional one, or another adapt.method"
        )
    return found, shapes[found][1]


def _last_fine(module: nn.Module, prefix: str, shapes: dict[str, torch.Size], least: int) -> str:
    """Find the last of the layers in a row, and in chains of such, whose map has a side of ``least``; "": none."""
    found = ""
    for name, child in module.named_children():
        shape = shapes.get(f"{prefix}{name}", torch.Size())
        if len(shape) != 4:
            continue
        if min(shape[2:]) < least:
            within = _last_fine(child, f"{prefix}{name}.", shapes, least) if isinstance(child, nn.Sequential) else ""
            return within or found
        found = f"{prefix}{name}"
    return found


def _branch(channels: int) -> nn.Module:
    """Make two stages of two residual blocks, each at half the resolution before it, and a mean: N×C×7×7 to N×64."""
    widths = [channels, *(min(factor * channels, most) for factor, most in zip((2, 4), WIDEST, strict=True))]
    layers: list[nn.Module] = []
    for narrow, wide in itertools.pairwise(widths):
        shortcut = nn.Sequential(nn.Conv2d(narrow, wide, 1, stride=2, bias=False), nn.BatchNorm2d(wide))
        layers += [BasicBlock(narrow, wide, stride=2, downsample=shortcut), BasicBlock(wide, wide)]
    layers += [nn.Conv2d(widths[-1], WIDTH, 3, padding=1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    branch = nn.Sequential(*layers)
    for module in branch.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return branch


class DomainMeans(nn.Module):
    """The statistics of one domain: the mean features of its clusters, and how the domain's features are normalised.

    Attributes:
        means: of k clusters of features of length n, k×n float.
        sums: of the features that came nearest to each mean since it moved last, k×n float.
        counts: how many these are, k float.
        norm: normalises the domain's features.
    """

    means: Tensor
    sums: Tensor
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        length = NODES * WIDTH
        self.norm = nn.BatchNorm1d(length)
        self.register_buffer("means", torch.zeros(NUM_CLASSES, length))
        self.register_buffer("sums", torch.zeros(NUM_CLASSES, length))
        self.register_buffer("counts", torch.zeros(NUM_CLASSES))

    @torch.no_grad()
    def restart(self, means: Tensor, features: Tensor) -> None:
        """Begin anew.

        Args:
            means: k×n float.
            features: what these are the means of, N×n float, by which the domain is also normalised from now on.
        """
        self.means.copy_(means)
        self.sums.zero_()
        self.counts.zero_()
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        self.norm.running_mean.copy_(features.mean(dim=0))
        self.norm.running_var.copy_(features.var(dim=0, correction=0))

    @torch.no_grad()
    def update(self, features: Tensor, momentum: float, gathered: int) -> None:
        """Take in a batch of the domain's features.

        Args:
            features: N×n float.
            momentum: how far a mean goes to that of its new features.
            gathered: it does so as soon as there are more than this many of them.
        """
        members = F.one_hot(self.nearest(features), NUM_CLASSES).to(features.dtype)
        self.sums += members.T @ features
        self.counts += members.sum(dim=0)
        full = (self.counts > gathered)[:, None]
        moved = torch.lerp(self.means, self.sums / self.counts.clamp(min=1.0)[:, None], momentum)
        self.means.copy_(torch.where(full, moved, self.means))
        self.sums.masked_fill_(full, 0.0)
        self.counts.masked_fill_(full[:, 0], 0.0)

    @torch.no_grad()
    def nearest(self, features: Tensor) -> Tensor:
        """Return the cluster whose mean is nearest to each of ``features`` (N×n): N int64."""
        return (features[:, None] - self.means).square().sum(dim=2).argmin(dim=1)

    def nearest_mean(self, features: Tensor) -> Tensor:
        """Return the mean that is nearest to each of ``features`` (N×n, of the other domain), normalised: N×n."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        # By the running statistics: a batch of a few means has none of its own.
        known = F.batch_norm(self.means, norm.running_mean.clone(), norm.running_var.clone(), norm.weight, norm.bias)
        return known[self.nearest(features)]


class Propagation(nn.Module):
    """Two graph convolutions within each domain, then one between them: N×12×64 in and out.

    Nodes: the source's six, then the target's. Links are learned, but never below 0, and those to a node sum to 1.
    """

    across_only: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, INNER)
        self.outer = nn.Linear(INNER, WIDTH)
        self.between = nn.Linear(WIDTH, WIDTH)
        for layer in (self.inner, self.outer, self.between):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        within, across = _links()
        self.within, self.across = nn.Parameter(within), nn.Parameter(across)
        self.register_buffer("across_only", (across > 0).float())

    def forward(self, nodes: Tensor, dropout: Tensor | None = None) -> Tensor:
        """Pass features along the links.

        Args:
            nodes: N×12×64 float.
            dropout: what inner features are multiplied by, N×12×128 float: 0 where one is left out, else above 1 by as
                much; None: all stay.

        Returns:
            N×12×64 float.
        """
        within, across = link_shares(self.within), link_shares(self.across * self.across_only)
        domains = nodes.unflatten(1, (2, NODES))
        inner = F.relu(within @ self.inner(domains))
        if dropout is not None:
            inner = inner * dropout.unflatten(1, (2, NODES))
        outer = within @ self.outer(inner)
        propagated: Tensor = across @ self.between(outer.flatten(1, 2))
        return propagated


def link_shares(links: Tensor) -> Tensor:
    """Make links, m×m float, such that are not negative and sum to 1 in each row."""
    positive = links.clamp(min=0.0)
    return positive / positive.sum(dim=1, keepdim=True).clamp(min=1e-12)


def _links() -> tuple[Tensor, Tensor]:
    """Return the links to begin with: within a domain 6×6, and between the domains 12×12."""
    within = torch.full((NODES, NODES), LOCAL_LOCAL)
    within[0, :] = within[:, 0] = HOLISTIC_LOCAL
    within.fill_diagonal_(1.0)
    other = torch.full((NODES, NODES), LOCAL_LOCAL_ACROSS)
    other[0, :] = other[:, 0] = HOLISTIC_LOCAL_ACROSS
    other.fill_diagonal_(SAME_PLACE)
    none = torch.zeros_like(other)
    return within, torch.cat([torch.cat([none, other], 1), torch.cat([other, none], 1)]).fill_diagonal_(1.0)


class Graphs(nn.Module):
    """All that stands behind z and the local features: nodes, both domains' statistics, the graphs and their scores.

    Attributes:
        scores: what classes are scored by from the nodes after the graphs, k×(6·64) float; 0 to begin with.
        local_scores: the same from the local nodes alone, k×(5·64) float.
    """

    def __init__(self, dim: int) -> None:
        """Make all of it for a z of ``dim`` numbers."""
        super().__init__()
        self.factor = dim**0.5
        self.holistic = nn.Linear(dim, WIDTH)
        self.source, self.target = DomainMeans(), DomainMeans()
        self.propagation = Propagation()
        self.scores = nn.Parameter(torch.zeros(NUM_CLASSES, NODES * WIDTH))
        self.local_scores = nn.Parameter(nn.init.xavier_normal_(torch.empty(NUM_CLASSES, REGIONS * WIDTH)))

    def features(self, observed: Tensor) -> Tensor:
        """Turn z with the local features (``WithRegions``) into holistic and local features: N×(6·64)."""
        z, local = observed.tensor_split([observed.shape[1] - REGIONS * WIDTH], dim=1)
        return torch.cat([F.relu(self.holistic(self.factor * z)), local], dim=1)

    def of_source(self, features: Tensor, dropout: Tensor | None = None) -> Tensor:
        """Pass source pictures' features (N×(6·64)) on beside the target's nearest means: N×(6·64)."""
        return self._propagated(self.source.norm(features), self.target.nearest_mean(features), dropout)[:, 0]

    def of_target(self, features: Tensor, dropout: Tensor | None = None) -> Tensor:
        """Pass target pictures' features (N×(6·64)) on beside the source's nearest means: N×(6·64)."""
        return self._propagated(self.source.nearest_mean(features), self.target.norm(features), dropout)[:, 1]

    def _propagated(self, source: Tensor, target: Tensor, dropout: Tensor | None) -> Tensor:
        nodes = torch.stack([source, target], dim=1).view(-1, 2 * NODES, WIDTH)
        after: Tensor = self.propagation(nodes, dropout)
        return after.reshape(-1, 2, NODES * WIDTH)


class AgraClassifier(PrototypeClassifier):
    """softmax(z·Mᵀ + what the graphs score), for pictures of the target; other pictures are taken for such, too."""

    def __init__(self, plain: PrototypeClassifier, regions: Regions, graphs: Graphs) -> None:
        """Put regions and graphs beside f, g and M of ``plain``, which are shared."""
        super().__init__(plain.network, plain.prototypes, plain.decision)
        self.regions, self.graphs = regions, graphs

    @classmethod
    def untrained(cls, params: ModelParams) -> Self:
        plain = PrototypeClassifier.untrained(params)
        return cls(plain, Regions(plain.network.encoder), Graphs(params.projection_dim))

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return z with the features after the graphs, made unit ones, and the probabilities."""
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
        """Train the branches, too: by all processes' parts, at the rate of the graphs.

        Raises:
            TrainingError: the target has fewer than two pictures to adapt to.
            ParamsError: the backbone has no feature map to take regions from.
            WeightsError: those of the ``mtcnn`` package are missing.
        """
        network = self.source_model.network
        self.regions = Regions(network.encoder)
        self.regions.landmarks.load()
        self.regions.to(self.target.inputs.device, next(network.parameters()).dtype)  # as f, whose map it takes
        super().prepare()
        self.optimiser.add_param_group({"params": list(self.regions.branches.parameters()), "lr": self._rates[-1]})
        self._rates.append(self._rates[-1])
        self.parts["regions"] = self.regions

    def own_modules(self) -> dict[str, nn.Module]:
        self.graphs = Graphs(self.network.head.dim)
        return {
            "graphs": self.graphs,
            "discriminator": Discriminator(NUM_CLASSES * NODES * WIDTH, self.params.hidden),
        }

    def averaged(self) -> dict[str, nn.Module]:
        return {**super().averaged(), "regions": self.regions, "graphs": self.graphs}

    def embedder(self) -> nn.Module:
        return WithRegions(self.network, self.regions)

    def _predictor(self) -> AgraClassifier:
        regions, graphs = self._average["regions"], self._average["graphs"]
        assert isinstance(regions, Regions)
        assert isinstance(graphs, Graphs)
        return AgraClassifier(super()._predictor(), regions, graphs)

    def prepare_epoch(self, epoch: int) -> dict[str, float]:
        """Begin the epoch's dropout; cluster both domains before the first, the second and every tenth epoch."""
        self._generator = generator_for(self.seed, f"{self.name} dropout", epoch)
        # The branches start from nothing, so that the first clusters mean little after an epoch.
        if epoch == 1 or epoch % self.params.recluster == 0:
            self._restart(self.graphs.source, self.source.inputs, self.source.rows)
            self._restart(self.graphs.target, self.target.inputs, self.target.train_rows)
        return super().prepare_epoch(epoch)

    def _restart(self, domain: DomainMeans, inputs: NetworkInputs, rows: Tensor) -> None:
        """Cluster the features of ``rows`` anew; of fewer pictures than classes some means come twice."""
        from sklearn.cluster import KMeans

        chosen = min(len(rows), CLUSTERED)
        features = self._features(inputs, rows[torch.arange(chosen) * len(rows) // chosen])
        count = min(NUM_CLASSES, chosen)
        found = KMeans(count, n_init=10, random_state=self.seed).fit(features.double().cpu().numpy()).cluster_centers_
        means = torch.from_numpy(found[[place % count for place in range(NUM_CLASSES)]]).to(features)
        domain.restart(self.team.from_leader(means), features)

    @torch.no_grad()
    def _features(self, inputs: NetworkInputs, rows: Tensor) -> Tensor:
        """Compute holistic and local features of the evaluation views of ``rows``: N×(6·64)."""
        own = rows[self.team.part(len(rows))]
        embedder = WithRegions(self.network, self.regions)
        with evaluating(embedder):
            views = evaluation_views(inputs, own, self.augment_params.eval_crop, self.team.leads)
            found = torch.cat([self.graphs.features(embedder(images)) for images in views])
        return self.team.from_leader(self.team.gather(found, len(rows)))

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        graphs, params, dim = self.graphs, self.params, self.network.head.dim
        source, target = (graphs.features(observed) for observed in (batch.source, batch.target))
        for domain, features in ((graphs.source, source), (graphs.target, target)):
            domain.update(features.detach(), params.momentum_of_means, params.gathered)
        after = (
            graphs.of_source(source, self._dropout(len(source))),
            graphs.of_target(target, self._dropout(len(target))),
        )
        z = batch.source[:, :dim], batch.target[:, :dim]
        local = weighted_cross_entropy(after[0][:, WIDTH:], graphs.local_scores, batch.labels, self._weights)
        return {
            "source": self.supervised(replace(batch, source=z[0])),
            "graphs": weighted_cross_entropy(after[0], graphs.scores, batch.labels, self._weights),
            "local": params.local_weight * local,
            "domain": params.weight * self._domain(z, after, batch.progress),
        }

    def _domain(self, z: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor], progress: float) -> Tensor:
        """Return the domain loss of CDAN+E, of the directions of both domains' features after the graphs."""
        logits, weights = [], []
        for of_one, features in zip(z, after, strict=True):
            scores = self.prototypes(of_one) + features @ self.graphs.scores.T
            probabilities = torch.softmax(scores, dim=1).detach()
            joint = multilinear(reversed_gradient(unit_rows(features), lambda_t(progress)), probabilities)
            logits.append(self.own["discriminator"](joint))
            weights.append(certainty(probabilities))
        return domain_loss(*logits, *weights)

    def _dropout(self, count: int) -> Tensor:
        """Draw the dropout of ``count`` pictures' inner features: every process draws the same for all pictures."""
        share = 1.0 - self.params.dropout
        drawn = torch.rand(count, 2 * NODES, INNER, generator=self._generator) < share
        return upload(drawn, self.team.device).float() / share
