"""Classifiers: pretrain on generated images, finetune on real ones, and the methods that do it."""
