"""Training a network anew, on what a defense left of the poisoned set."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engine.defenses.base import Defense, LabeledImages, Need, Port, Work
from engine.settings import AttackTrainingSettings

if TYPE_CHECKING:
    from torch import Tensor, nn


class Retraining(Defense):
    """Settings of a defense that isolates images by the suspect's features, and trains anew without them."""

    needs: ClassVar[frozenset[Need]] = frozenset({"poisoned set"})
    slow: ClassVar[bool] = True

    training: AttackTrainingSettings = AttackTrainingSettings(epochs=6, batch_size=128, lr=0.3, first_layer="whitened")
    """Of the network that is trained anew."""

    def suspected(self, features: Tensor, clean: Tensor, seed: int) -> Tensor:
        """Which images of a class are taken for poisoned, bool [N].

        Args:
            features: of the poisoned set's images that are labeled with the class, float [N, D].
            clean: of the clean images of the class, float [M, D].
        """
        raise TypeError(f"{type(self).__name__} does not say what it takes for poisoned")

    def defend(self, port: Port) -> Work[nn.Module]:
        """Isolate class by class, and train a network of the suspect's kind on the rest."""
        places = yield from port.isolate(self.name, suspected_of(self, port))
        return (yield from retrain(self.name, port, without(port.poisoned, places), self.training))


def suspected_of(defense: Retraining, port: Port) -> Tensor:
    """The places of the images in the poisoned set that the defense takes for poisoned, int64; class by class."""
    import torch

    from engine.models.penultimate import features

    seen = features(port.suspect, port.poisoned.images, port.device)
    known = features(port.suspect, port.clean.images, port.device)
    found = [torch.empty(0, dtype=torch.int64, device=seen.device)]
    for label in range(port.classes):
        places = (port.poisoned.labels == label).nonzero().flatten()
        clean = known[port.clean.labels == label]
        if len(places) > 1 and len(clean):  # of a class without a clean image nothing is known
            found.append(places[defense.suspected(seen[places], clean, port.seed)])
    return torch.cat(found)


def without(images: LabeledImages, places: Tensor) -> LabeledImages:
    """The images less those at the places.

    Raises:
        StageError: none are left.
    """
    import torch

    from engine.errors import StageError

    kept = torch.ones(len(images), dtype=torch.bool, device=images.labels.device)
    kept[places] = False
    if not bool(kept.any()):
        raise StageError("all images of the poisoned set are isolated: none is left to train on")
    return LabeledImages(images.images[kept], images.labels[kept])


def retrain(stage: str, port: Port, data: LabeledImages, training: AttackTrainingSettings) -> Work[nn.Module]:
    """A network of the suspect's kind, trained from its beginning on those images, frozen."""
    from engine.models.inference import freeze
    from engine.settings import ObjectiveSettings
    from engine.training.conditioning import whiten_first_layer
    from engine.training.objectives import CleanObjective

    model = port.fresh()
    if training.first_layer == "whitened":
        whiten_first_layer(model, data.images)
    objective = CleanObjective(ObjectiveSettings(mixup=training.mixup))
    return freeze((yield from port.train(stage, model, objective, training, data=data)))
