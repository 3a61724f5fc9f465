"""AGRA: graph convolutions on holistic and local features, within and between domains (Xie et al., ACM MM 2020).

From top to bottom: local features around landmarks (``Landmarks``, ``Regions``, ``WithRegions``), the graphs
(``DomainMeans``, ``Propagation``, ``Graphs``), the classifier (``AgraClassifier``) and its training (``Agra``). Sizes
and initial links of the graphs are those of the released code.

O-Net of MTCNN finds the landmarks in the view that the network sees. So they follow cropping, mirroring and resizing,
they exist for faces found by any detector, and the classifier needs nothing but pictures.

It is one module because the adapt stage depends only on its method's module. A change here affects only AGRA's results.
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
"""Pixels of padding around a view for O-Net, which expects a whole face; a view shows less."""

CELLS, SHARE = 7, 1 / 28
"""A region has 7×7 sample points, spaced by a 28th of the picture's side: 7×7 of the published 28×28 feature map."""

LEAST_SHARE = 1 / 5
"""Minimum side of the feature map, as a share of the picture's side in pixels."""

WIDTH = 64
"""Number of features of a region."""

WIDEST = (256, 512)
"""Maximum channels of a region's two stages: those of the published network, twice and four times its map's 128."""

NODES = 1 + REGIONS
"""Nodes of a domain: the holistic feature, then the local ones."""

INNER = 128
"""Number of features of a node between the two convolutions within its domain."""

HOLISTIC_LOCAL, LOCAL_LOCAL = 0.8, 0.5
"""Initial links within a domain."""

SAME_PLACE, HOLISTIC_LOCAL_ACROSS, LOCAL_LOCAL_ACROSS = 0.9, 0.4, 0.25
"""Initial links between the domains."""

CLUSTERED = 4096
"""Maximum number of pictures of each domain that are clustered."""


class Landmarks(nn.Module):
    """Finds the five landmarks of a face by O-Net, which is not trained.

    Float N×3×112×112 in [0, 1] in; N×5×2 out, x and y as shares of the picture's side.
    """

    def __init__(self) -> None:
        super().__init__()
        self.onet = ONet().requires_grad_(False)

    def load(self) -> None:
        """Load the weights of the ``mtcnn`` package.

        Raises:
            WeightsError: they are missing.
        """
        load_weights(self.onet, "onet")

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):  # bf16 would move landmarks by a pixel
            known = images.to(self.onet.landmarks.weight.dtype)
            bordered = F.pad(known, (BORDER,) * 4, mode="replicate")
            patches = F.avg_pool2d(bordered, bordered.shape[-1] // ONet.SIZE)
            _, _, shares = self.onet(patches * (255.0 / 128.0) - 127.5 / 128.0)
        side = images.shape[-1]
        found: Tensor = (shares.unflatten(1, (2, REGIONS)).transpose(1, 2) * (side + 2 * BORDER) - BORDER) / side
        return found


class Regions(nn.Module):
    """One branch of two residual stages for each landmark, on its region of the encoder's feature map.

    The map is the last one whose side is at least a fifth of the picture's.
    """

    def __init__(self, encoder: Encoder) -> None:
        """Find the feature map and create the branches.

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
    """Embeds pictures as z followed by the local features: float N×3×112×112 in, N×(d + 5·64) out."""

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
    """Sample 7×7 points around each landmark; regions that would cross the border are moved inside.

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
    """Find the layer whose output is the feature map for ``Regions``.

    Returns:
        Its name within the encoder's trunk, and its number of channels.

    Raises:
        ParamsError: no layer has such an output.
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
    """Return the name of the last layer, in nested sequences too, whose map has a side of ``least``; "" if none."""
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
    """Create two stages of two residual blocks, each halving the resolution, and a mean: N×C×7×7 in, N×64 out."""
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
    """The statistics of one domain: the means of its k clusters, and the batch norm of its features.

    Attributes:
        means: cluster means, k×n float.
        sums: sum of the features assigned to each cluster since its mean was last updated, k×n float.
        counts: number of these features, k float.
        norm: batch norm of the domain's features.
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
        """Reset all statistics.

        Args:
            means: the new cluster means, k×n float.
            features: the clustered features, N×n float; their mean and variance become the batch norm's statistics.
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
        """Update the cluster means with a batch of the domain's features.

        Args:
            features: N×n float.
            momentum: weight of the new features' mean in the update of a cluster mean.
            gathered: a cluster mean is updated once more than this many features were assigned to it.
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
        """Return the nearest cluster of each of ``features`` (N×n): N int64."""
        return (features[:, None] - self.means).square().sum(dim=2).argmin(dim=1)

    def nearest_mean(self, features: Tensor) -> Tensor:
        """Return the normalised cluster mean nearest to each of the other domain's ``features`` (N×n): N×n."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        # Normalise by the running statistics: those of a batch of a few means would be meaningless.
        known = F.batch_norm(self.means, norm.running_mean.clone(), norm.running_var.clone(), norm.weight, norm.bias)
        return known[self.nearest(features)]


class Propagation(nn.Module):
    """Two graph convolutions within each domain, then one between the domains: N×12×64 in and out.

    The nodes are the source's six, then the target's six. Links are learned, not negative, and sum to 1 for each node.
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
        """Apply the graph convolutions.

        Args:
            nodes: N×12×64 float.
            dropout: factors of the inner features, N×12×128 float: 0, or 1 / (1 − rate); None: no dropout.

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
    """Clamp links (m×m float) at 0 and normalise each row to the sum 1."""
    positive = links.clamp(min=0.0)
    return positive / positive.sum(dim=1, keepdim=True).clamp(min=1e-12)


def _links() -> tuple[Tensor, Tensor]:
    """Return the initial links: 6×6 within a domain, and 12×12 between the domains."""
    within = torch.full((NODES, NODES), LOCAL_LOCAL)
    within[0, :] = within[:, 0] = HOLISTIC_LOCAL
    within.fill_diagonal_(1.0)
    other = torch.full((NODES, NODES), LOCAL_LOCAL_ACROSS)
    other[0, :] = other[:, 0] = HOLISTIC_LOCAL_ACROSS
    other.fill_diagonal_(SAME_PLACE)
    none = torch.zeros_like(other)
    return within, torch.cat([torch.cat([none, other], 1), torch.cat([other, none], 1)]).fill_diagonal_(1.0)


class Graphs(nn.Module):
    """The layers on top of z and the local features: nodes, both domains' statistics, graph convolutions, classifiers.

    Attributes:
        scores: weights of the classifier on all nodes of a domain, k×(6·64) float; initially 0.
        local_scores: weights of the classifier on the local nodes alone, k×(5·64) float.
    """

    def __init__(self, dim: int) -> None:
        """Create the layers for a z of length ``dim``."""
        super().__init__()
        self.factor = dim**0.5
        self.holistic = nn.Linear(dim, WIDTH)
        self.source, self.target = DomainMeans(), DomainMeans()
        self.propagation = Propagation()
        self.scores = nn.Parameter(torch.zeros(NUM_CLASSES, NODES * WIDTH))
        self.local_scores = nn.Parameter(nn.init.xavier_normal_(torch.empty(NUM_CLASSES, REGIONS * WIDTH)))

    def features(self, observed: Tensor) -> Tensor:
        """Turn the output of ``WithRegions`` into holistic and local features: N×(6·64)."""
        z, local = observed.tensor_split([observed.shape[1] - REGIONS * WIDTH], dim=1)
        return torch.cat([F.relu(self.holistic(self.factor * z)), local], dim=1)

    def of_source(self, features: Tensor, dropout: Tensor | None = None) -> Tensor:
        """Propagate source features (N×(6·64)) together with the nearest target means: N×(6·64)."""
        return self._propagated(self.source.norm(features), self.target.nearest_mean(features), dropout)[:, 0]

    def of_target(self, features: Tensor, dropout: Tensor | None = None) -> Tensor:
        """Propagate target features (N×(6·64)) together with the nearest source means: N×(6·64)."""
        return self._propagated(self.source.nearest_mean(features), self.target.norm(features), dropout)[:, 1]

    def _propagated(self, source: Tensor, target: Tensor, dropout: Tensor | None) -> Tensor:
        nodes = torch.stack([source, target], dim=1).view(-1, 2 * NODES, WIDTH)
        after: Tensor = self.propagation(nodes, dropout)
        return after.reshape(-1, 2, NODES * WIDTH)


class AgraClassifier(PrototypeClassifier):
    """softmax(z·Mᵀ + scores of the graphs). Every picture is treated as one of the target."""

    def __init__(self, plain: PrototypeClassifier, regions: Regions, graphs: Graphs) -> None:
        """Add regions and graphs to f, g and M of ``plain``, whose modules are shared, not copied."""
        super().__init__(plain.network, plain.prototypes, plain.decision)
        self.regions, self.graphs = regions, graphs

    @classmethod
    def untrained(cls, params: ModelParams) -> Self:
        plain = PrototypeClassifier.untrained(params)
        return cls(plain, Regions(plain.network.encoder), Graphs(params.projection_dim))

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return z with the normalised features after the graphs, and the probabilities."""
        observed = WithRegions(self.network, self.regions)(images)
        z = observed[:, : self.network.head.dim]
        after = self.graphs.of_target(self.graphs.features(observed))
        probabilities: Tensor = self.decision(self.prototypes(z) + after @ self.graphs.scores.T)
        return torch.cat([z, unit_rows(after)], dim=1), probabilities


class Agra(TwoDomains):
    """CDAN+E on the features after the graphs. Branches and graphs are trained from scratch, M from M_s."""

    params: AgraParams
    model: AgraClassifier

    def prepare(self) -> None:
        """Add the branches to what is trained, at the learning rate of the graphs.

        Raises:
            TrainingError: the target has fewer than two pictures to adapt to.
            ParamsError: the backbone has no suitable feature map.
            WeightsError: the weights of the ``mtcnn`` package are missing.
        """
        network = self.source_model.network
        self.regions = Regions(network.encoder)
        self.regions.landmarks.load()
        self.regions.to(self.target.inputs.device, next(network.parameters()).dtype)  # the dtype of f's feature map
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
        """Seed the epoch's dropout; cluster both domains before epochs 0 and 1 and then every ``recluster`` epochs."""
        self._generator = generator_for(self.seed, f"{self.name} dropout", epoch)
        # The branches start from random weights, so the first clusters mean little after one epoch.
        if epoch == 1 or epoch % self.params.recluster == 0:
            self._restart(self.graphs.source, self.source.inputs, self.source.rows)
            self._restart(self.graphs.target, self.target.inputs, self.target.train_rows)
        return super().prepare_epoch(epoch)

    def _restart(self, domain: DomainMeans, inputs: NetworkInputs, rows: Tensor) -> None:
        """Cluster the features of ``rows``; with fewer pictures than classes, some means occur twice."""
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
        """Return CDAN+E's domain loss on the normalised features of both domains after the graphs."""
        logits, weights = [], []
        for of_one, features in zip(z, after, strict=True):
            scores = self.prototypes(of_one) + features @ self.graphs.scores.T
            probabilities = torch.softmax(scores, dim=1).detach()
            joint = multilinear(reversed_gradient(unit_rows(features), lambda_t(progress)), probabilities)
            logits.append(self.own["discriminator"](joint))
            weights.append(certainty(probabilities))
        return domain_loss(*logits, *weights)

    def _dropout(self, count: int) -> Tensor:
        """Draw the dropout factors for ``count`` pictures; every process draws the same for the whole batch."""
        share = 1.0 - self.params.dropout
        drawn = torch.rand(count, 2 * NODES, INNER, generator=self._generator) < share
        return upload(drawn, self.team.device).float() / share
