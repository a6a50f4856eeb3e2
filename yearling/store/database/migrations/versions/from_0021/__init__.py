"""Migrations from 0021 on."""
