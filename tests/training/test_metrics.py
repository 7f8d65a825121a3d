import math

import pytest
import torch

from robust3d.training.metrics import accuracy, best_constant_mask, chamfer_l1, mask_iou, psnr

torch.set_num_threads(1)


def test_psnr_by_hand():
    truth = torch.zeros(2, 3, 4, 4)
    pred = truth.clone()
    pred[0] += 0.1  # MSE 0.01: 20 dB
    pred[1, 0] += 0.3  # MSE 0.03: 15.2288 dB
    assert psnr(pred, truth) == pytest.approx((20 - 10 * math.log10(0.03)) / 2, abs=1e-5)
    assert psnr(truth, truth) == math.inf


def test_mask_iou_by_hand():
    truth = torch.tensor([[[1, 1], [0, 0]], [[0, 0], [0, 0]], [[1, 0], [0, 0]]], dtype=torch.bool)
    pred = torch.tensor([[[1, 0], [1, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 1]]], dtype=torch.bool)
    assert mask_iou(pred, truth) == pytest.approx((1 / 3 + 1 + 0) / 3)


def test_best_constant_mask_beats_all_foreground_and_every_single_mask():
    truth = torch.zeros(3, 1, 4, dtype=torch.bool)
    truth[0, 0, :2] = truth[1, 0, :2] = truth[2, 0, 1:3] = True
    assert best_constant_mask(truth).tolist() == [[True, True, False, False]]  # IoU (1 + 1 + 1/3) / 3
    assert not best_constant_mask(torch.zeros(2, 3, 3, dtype=torch.bool)).any()


@pytest.mark.parametrize("shape", [(3, 4), (1, 2)])
def test_shapes_must_agree(shape):
    with pytest.raises(ValueError, match="differ in shape"):
        psnr(torch.zeros(2, 4), torch.zeros(shape))
    with pytest.raises(ValueError, match="differ in shape"):
        mask_iou(torch.zeros(2, 4), torch.zeros(shape))


def test_accuracy_by_hand():
    logits = torch.tensor([[1.0, 2], [3, 0], [0, 1], [0, 5]])
    assert accuracy(logits, torch.tensor([1, 0, 0, 1])) == 0.75


def test_chamfer_by_hand_and_empty_is_the_worst_case():
    truth = torch.tensor([[0.0, 0, 0], [1, 0, 0]])
    pred = torch.tensor([[0.0, 3, 4]])
    # accuracy 5; completeness (5 + sqrt(26)) / 2
    assert chamfer_l1(pred, truth) == pytest.approx((5 + (5 + math.sqrt(26)) / 2) / 2)
    assert chamfer_l1(truth, truth) == 0
    assert chamfer_l1(torch.zeros(0, 3), truth) == pytest.approx(math.sqrt(3))
    with pytest.raises(ValueError, match="no points"):
        chamfer_l1(pred, torch.zeros(0, 3))
