"""Networks: GeoLift-UNet (ours), and the paper's baseline X2CT-GAN with its discriminator."""
