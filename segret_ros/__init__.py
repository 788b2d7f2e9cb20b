"""What runs in the vehicle: the SegRet network, its engines, and the ROS 2 node."""
