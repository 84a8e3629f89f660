FromDevice(1) -> ToDevice(0);
FromDevice(0) -> ToHostSniffers(eth0, ALLOW_NONEXISTENT true);
