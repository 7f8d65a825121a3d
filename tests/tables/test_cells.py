from robust3d.tables.cells import percent, pointer, run_flags


def test_percent():
    assert percent(0.28541) == "28.5"


def test_a_pointer_is_escaped():
    """RFC 6901, section 3."""
    assert pointer("robust", "8/255", "a~b") == "/robust/8~1255/a~0b"


def test_a_shared_pre_training_is_told():
    def models(*seeds):
        encoders = [{"seed": seed, "collapse": None, "params": {}} for seed in seeds]
        return [{"collapse": None, "resolution_px": 32, "encoder": encoder} for encoder in encoders]

    assert any("share one pre-training" in flag for flag in run_flags(models(0, 0, 0)))
    assert run_flags(models(0, 1, 2)) == run_flags(models(0)) == []
    assert run_flags([{"collapse": None, "encoder": None}] * 3) == []


def test_an_encoder_that_saw_images_of_another_size_is_told():
    def flags(**params):
        encoder = {"seed": 0, "collapse": None, "params": params}
        return run_flags([{"collapse": None, "resolution_px": 32, "encoder": encoder}])

    told = "the encoder was pre-trained on images resized to 64 px, the classifier sees 32 px"
    assert flags(input_px=64) == [told]
    assert flags(input_px=32) == flags(input_px=None) == flags(batch=16) == []
