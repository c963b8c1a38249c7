"""Training: masked pre-training and fine-tuning on procedural videos, and adapting to others."""
