"""Labels of a dataset or view, written as COCO or YOLO."""
