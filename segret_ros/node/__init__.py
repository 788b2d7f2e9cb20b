"""The lifecycle node: with the demo, the only place that imports rclpy."""
