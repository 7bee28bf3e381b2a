"""Vision transformers (Dosovitskiy et al., ICLR 2021; tiny and small: Touvron et al., ICML 2021).

Parameter names and arithmetic are those of the widely used timm, whose vit_tiny_patch16_224 and vit_small_patch16_224
are these networks for images of 224 pixels.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.models.scale import Size

EPSILON = 1e-6
"""Of the layer norms."""
WIDER = 4
"""How much wider the hidden layer of each block is."""


class PatchEmbed(nn.Module):
    """Each patch of the images as a vector."""

    def __init__(self, patch: int, dimension: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dimension, patch, stride=patch)

    def forward(self, images: Tensor) -> Tensor:
        """Map [N, 3, H, W] to [N, dimension, H / patch, W / patch], images filled up with zeros to whole patches."""
        patch = self.proj.stride[0]
        height, width = images.shape[-2:]
        return self.proj(F.pad(images, (0, -width % patch, 0, -height % patch)))


class Attention(nn.Module):
    """Self-attention of several heads."""

    def __init__(self, dimension: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dimension, 3 * dimension)
        self.proj = nn.Linear(dimension, dimension)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map [N, L, D] to the same shape."""
        count, length, dimension = tokens.shape
        apart = self.qkv(tokens).view(count, length, 3, self.heads, dimension // self.heads)
        mixed = F.scaled_dot_product_attention(*apart.permute(2, 0, 3, 1, 4))
        return self.proj(mixed.transpose(1, 2).reshape(count, length, dimension))


class Block(nn.Module):
    """Attention, then two layers token by token, each on what is normalized and added to what was there."""

    def __init__(self, dimension: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dimension, EPSILON)
        self.attn = Attention(dimension, heads)
        self.norm2 = nn.LayerNorm(dimension, EPSILON)
        self.mlp = nn.Sequential(
            OrderedDict(
                fc1=nn.Linear(dimension, WIDER * dimension), act=nn.GELU(), fc2=nn.Linear(WIDER * dimension, dimension)
            )
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Map [N, L, D] to the same shape."""
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class VisionTransformer(nn.Module):
    """Patches and a class token through a row of blocks; the class token decides.

    Made for images of one size, it takes others too: its positions are then interpolated.
    """

    def __init__(self, patch: int, size: Size, dimension: int, depth: int, heads: int, classes: int) -> None:
        super().__init__()
        self.grid = tuple(-(-side // patch) for side in size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dimension))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.grid[0] * self.grid[1], dimension))
        self.patch_embed = PatchEmbed(patch, dimension)
        self.blocks = nn.Sequential(*(Block(dimension, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dimension, EPSILON)
        self.head = nn.Linear(dimension, classes)
        self._initialize()

    def _initialize(self) -> None:
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [N, classes] for images [N, 3, H, W] in [0, 1]."""
        patches = self.patch_embed(images)
        tokens = patches.flatten(2).transpose(1, 2)
        start = self.cls_token.expand(len(tokens), -1, -1)
        tokens = torch.cat([start, tokens], dim=1) + self._positions(tuple(patches.shape[-2:]))
        return self.head(self.norm(self.blocks(tokens))[:, 0])

    def _positions(self, grid: tuple[int, ...]) -> Tensor:
        """What each place adds to its token, [1, 1 + places, D]."""
        if grid == self.grid:
            return self.pos_embed
        start, places = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        drawn = places.transpose(1, 2).unflatten(2, self.grid)
        drawn = F.interpolate(drawn, size=grid, mode="bicubic", antialias=True)
        return torch.cat([start, drawn.flatten(2).transpose(1, 2)], dim=1)
