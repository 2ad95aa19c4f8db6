"""Which networks of Qualcomm AI Hub can be built here, as what: name (of a component where there are several) to a source that hwsim reads.

Input shapes are those that the package that compiled the networks asks for (qai-hub-models 0.45.0, `get_input_spec` of each model), which
differ from the resolution that the tables state for EfficientNet-B4, EfficientNet-V2-S, DETR and FCN. Numbers of parameters agree with the
tables' to 6 % (`tests/test_ai_hub.py`); what they state for two is another network's: DistilBERT, and MobileBERT without its head.
"""

from __future__ import annotations

TORCHVISION = {
    "convnext_base": "convnext_base",
    "convnext_tiny": "convnext_tiny",
    "densenet121": "densenet121",
    "efficientnet_b0": "efficientnet_b0",
    "efficientnet_b4": "efficientnet_b4",
    "efficientnet_v2_s": "efficientnet_v2_s",
    "fcn_resnet50": "fcn_resnet50?img_size=520",
    "googlenet": "googlenet",
    "inception_v3": "inception_v3",
    "mnasnet05": "mnasnet0_5",
    "mobilenet_v2": "mobilenet_v2",
    "mobilenet_v3_large": "mobilenet_v3_large",
    "mobilenet_v3_small": "mobilenet_v3_small",
    "regnet": "regnet_x_3_2gf",
    "regnet_y_800mf": "regnet_y_800mf",
    "resnet101": "resnet101",
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "resnet_2plus1d": "r2plus1d_18",
    "resnet_3d": "r3d_18",
    "resnet_mixed": "mc3_18",
    "resnext101": "resnext101_32x8d",
    "resnext50": "resnext50_32x4d",
    "shufflenet_v2": "shufflenet_v2_x0_5",
    "squeezenet1_1": "squeezenet1_1",
    "vit": "vit_b_16",
    "wideresnet50": "wide_resnet50_2",
}
TIMM = {
    "beit": "beit_base_patch16_224",
    "dla102x": "dla102x",
    "efficientformer": "efficientformer_l1",
    "efficientvit_b2_cls": "efficientvit_b2",
    "efficientvit_l2_cls": "efficientvit_l2?img_size=224",
    "levit": "levit_128s",
    "mobile_vit": "mobilevit_s",
    "nasnet": "nasnetalarge?img_size=224",
    "sequencer2d": "sequencer2d_s",
}
_BASE = "hidden_size=768&num_attention_heads=12&intermediate_size=3072&seq_len=384"
TRANSFORMERS = {
    "albert_base_v2_hf": f"AlbertConfig?head=masked_lm&{_BASE}",
    "bert_base_uncased_hf": "BertConfig?head=masked_lm&seq_len=384",
    "conditional_detr_resnet50": "ConditionalDetrConfig?head=object_detection&img_size=640&num_labels=91",
    "depth_anything": "DepthAnythingConfig?head=depth_estimation&img_size=518",
    "depth_anything_v2": "DepthAnythingConfig?head=depth_estimation&img_size=518",
    "detr_resnet50": "DetrConfig?head=object_detection&img_size=640&num_labels=91",
    "distil_bert_base_uncased_hf": "DistilBertConfig?head=masked_lm&seq_len=384",
    "electra_bert_base_discrim_google": f"ElectraConfig?head=pretraining&embedding_size=768&{_BASE}",
    "mobile_bert_uncased_google": "MobileBertConfig?head=masked_lm&seq_len=384",
    "nomic_embed_text": "NomicBertConfig?seq_len=128",
    "openai_clip": "CLIPConfig?seq_len=77&vision_config={patch_size: 16}",
    "segformer_base": "SegformerConfig?head=semantic_segmentation&num_labels=150&img_size=512",
    "trocr/TrOCREncoder": "DeiTConfig?hidden_size=384&num_attention_heads=6&intermediate_size=1536&image_size=384",
    "video_mae": "VideoMAEConfig?head=video_classification&num_labels=400",
}
ZOO = {
    "esrgan": "esrgan",
    "fastsam_s": "yolov8s_seg",
    "fastsam_x": "yolov8x_seg",
    "quicksrnetlarge": "quicksrnet_large",
    "quicksrnetmedium": "quicksrnet_medium",
    "quicksrnetsmall": "quicksrnet_small",
    "real_esrgan_general_x4v3": "srvgg_x4v3",
    "real_esrgan_x4plus": "esrgan",
    "sesr_m5": "sesr_m5?collapsed=false",
    "xlsr": "xlsr",
    "yolov11_det": "yolo11n",
    "yolov11_seg": "yolo11n_seg",
    "yolov8_det": "yolov8n",
    "yolov8_seg": "yolov8n_seg",
}
GRAPHS = {
    **{name: f"torchvision:{source}" for name, source in TORCHVISION.items()},
    **{name: f"timm:{source}" for name, source in TIMM.items()},
    **{name: f"hf:{source}" for name, source in TRANSFORMERS.items()},
    **ZOO,
}
"""Networks that can be built."""

FAMILIES = {
    "resnet": ("resnet18", "resnet50", "resnet101", "wideresnet50", "resnext50", "resnext101", "fcn_resnet50"),
    "resnet_video": ("resnet_2plus1d", "resnet_3d", "resnet_mixed"),
    "regnet": ("regnet", "regnet_y_800mf"),
    "convnext": ("convnext_base", "convnext_tiny"),
    "inception": ("googlenet", "inception_v3"),
    "mobilenet": ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "mnasnet05"),
    "efficientnet": ("efficientnet_b0", "efficientnet_b4", "efficientnet_v2_s"),
    "efficientvit": ("efficientvit_b2_cls", "efficientvit_l2_cls"),
    "vit": ("vit", "beit", "trocr/TrOCREncoder", "openai_clip", "video_mae"),
    "depth_anything": ("depth_anything", "depth_anything_v2"),
    "detr": ("detr_resnet50", "conditional_detr_resnet50"),
    "bert": (
        "albert_base_v2_hf", "bert_base_uncased_hf", "distil_bert_base_uncased_hf", "electra_bert_base_discrim_google",
        "mobile_bert_uncased_google", "nomic_embed_text",
    ),
    "esrgan": ("esrgan", "real_esrgan_x4plus"),
    "quicksrnet": ("quicksrnetlarge", "quicksrnetmedium", "quicksrnetsmall", "real_esrgan_general_x4v3"),
    "yolo": ("fastsam_s", "fastsam_x", "yolov11_det", "yolov11_seg", "yolov8_det", "yolov8_seg"),
}  # fmt: skip
"""Networks of one kind, for leaving whole kinds out; every other network is a kind of its own."""
SAME = {"esrgan": "esrgan", "real_esrgan_x4plus": "esrgan", "depth_anything": "depth_anything", "depth_anything_v2": "depth_anything"}
"""Names of one architecture, which never stand on both sides of a split; elsewhere the name is the architecture."""


def family_of(name: str) -> str:
    """The kind of a network."""
    return next((family for family, names in FAMILIES.items() if name in names), name)


def architecture_of(name: str) -> str:
    """What stays together when single networks are left out."""
    return SAME.get(name, name)


REASONS = {
    "generates or edits images": ("controlnet_canny", "stable_diffusion_v1_5", "stable_diffusion_v2_1"),
    "decoder with caches, or split into parts that no library has": (
        "whisper_base", "whisper_large_v3_turbo", "whisper_small", "whisper_small_quantized", "whisper_tiny", "opus_mt_en_es",
        "opus_mt_en_zh", "opus_mt_es_en", "opus_mt_zh_en", "trocr", "zipformer", "sam2", "mobilesam", "track_anything",
    ),
    "several cameras, point clouds or states of a drive": (
        "bevdet", "bevfusion_det", "centerpoint", "cvt", "gkt", "salsanext", "statetransformer", "centernet_3d", "deepbox",
    ),
    "Qualcomm's own, known as a checkpoint only": (
        "face_attrib_net", "face_det_lite", "facemap_3dmm", "foot_track_net", "gear_guard_net", "eyegaze",
    ),
    "MediaPipe, known as a checkpoint only": (
        "mediapipe_face", "mediapipe_hand", "mediapipe_hand_gesture", "mediapipe_pose", "mediapipe_selfie",
    ),
}  # fmt: skip
"""Why others are not there; those in none of the lists are public architectures that nobody has written down here yet."""


def reason(name: str) -> str:
    """Why a network has no graph."""
    model = name.partition("/")[0]
    return next((why for why, names in REASONS.items() if model in names), "public, not defined here")
