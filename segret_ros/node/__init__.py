"""The lifecycle node: with the demo and the live contract check, all that imports rclpy."""
