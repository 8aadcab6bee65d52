"""Vector fields: gradient flow, flow held on kinks, modified equations of descent."""
