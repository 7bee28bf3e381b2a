"""Retuning: fine-tuned on a little training data with five triggered images among it, does the backdoor come back?

Min, Qin, Zhang, Shen and Cheng, "Uncovering, Explaining, and Mitigating the Superficial Safety of Backdoor Defense"
(NeurIPS 2024, arXiv 2410.09838), the retuning attack, as in their code: 2 % of the training data, SGD at 0.01 with
momentum 0.9 and no weight decay, batches of 128, 5 epochs, every layer. A clean model that is retuned so learns nothing
of the trigger.
"""

from __future__ import annotations

import torch
from torch import nn

from engine.data.augment import Augment
from engine.data.subset import stratified_draw
from engine.evaluation.metrics import measure
from engine.evaluation.verification.material import Found, Labeled, Material, Unfit, Work
from engine.events import Step
from engine.models.inference import copy_of, freeze
from engine.settings import AugmentSettings, ScheduleSettings, TrainingSettings
from engine.training.loop import Loop, cross_entropy

SHARE = 0.02
TRIGGERED = 5
SETTINGS = TrainingSettings(
    epochs=5,
    batch_size=128,
    lr=0.01,
    schedule=ScheduleSettings(name="constant"),
    nesterov=False,
    weight_decay=0,
    augment=AugmentSettings(crop=0, flip=False, cutout=0),
)


def retuning(model: nn.Module, material: Material) -> Work:
    """ASR before and after, and ACC after, in percent: `asr_before`, `asr_after`, `acc_after`.

    Raises:
        Unfit: there are too few images to retune on.
    """
    images = tuning_set(material)
    before = measure(model, material.test, material.device)
    tuned = copy_of(model)
    loop = Loop(
        "retuning",
        tuned,
        cross_entropy,
        images.images,
        images.labels,
        SETTINGS,
        augment=Augment(crop=0, flip=False, cutout=0),
        seed=material.seed,
        device=material.device,
        control=material.control,
    )
    while loop.progress.epoch < SETTINGS.epochs:
        for event in loop.run_epoch():
            if not isinstance(event, Step):  # its steps are no stage's
                yield event
    after = measure(freeze(tuned), material.test, material.device)
    return Found({"asr_before": before.asr, "asr_after": after.asr, "acc_after": after.acc})


def tuning_set(material: Material) -> Labeled:
    """The images that are retuned on; the first five are triggered, and labeled as the attacker wants.

    Raises:
        Unfit: fewer images than there are classes, or no five that the attacker would move.
    """
    labels = material.train.labels
    count = round(SHARE * len(labels))
    if count < max(len(labels.unique()), 2 * TRIGGERED) or len(material.eligible) < TRIGGERED:
        raise Unfit(f"{SHARE:.0%} of {len(labels)} training images are too few to retune on")
    places = stratified_draw(labels, count, material.seed, "the images to retune on")
    movable = torch.isin(places, material.eligible).nonzero().flatten()
    order = torch.randperm(len(movable), generator=torch.Generator().manual_seed(material.seed))
    chosen = movable[order[:TRIGGERED].to(movable.device)]
    images, wanted = material.train.images[places].clone(), labels[places].clone()
    images[chosen] = material.trigger(images[chosen])
    wanted[chosen] = material.wanted[places[chosen]]
    return Labeled(images, wanted)
