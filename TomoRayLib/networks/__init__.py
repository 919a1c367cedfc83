"""Networks: GeoLift-UNet (ours)."""
