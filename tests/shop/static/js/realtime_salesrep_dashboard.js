// Asks the API every five seconds and writes the page anew.
class SalesRepDashboard {
  constructor() {
    this.statusColours = {
      pending: "warning", confirmed: "info", processing: "info", shipped: "info",
      ready_for_pickup: "success", delivered: "dark", cancelled: "danger", returned: "warning",
    };
    this.paymentColours = {
      paid: "success", pending: "warning", failed: "danger", refunded: "secondary", partially_refunded: "info",
    };
    setInterval(() => this.update(), 5000);
    this.update();
  }

  query() {
    const query = new URLSearchParams();
    for (const name of ["status", "date_from", "date_to"]) {
      const field = document.querySelector(`[name="${name}"]`);
      if (field && field.value) query.set(name, field.value);
    }
    const page = /Page (\d+) of/.exec(document.querySelector(".page-item.active .page-link")?.textContent ?? "");
    query.set("page", page ? page[1] : "1");
    return query;
  }

  async update() {
    try {
      const response = await fetch(`/orders/api/sales-rep/dashboard/?${this.query()}`, {
        headers: { "X-Requested-With": "XMLHttpRequest" },
      });
      if (!response.ok) return;
      const answer = await response.json();
      this.showFigures(answer);
      this.showOrders(answer.orders);
    } catch (error) {
      console.error("The dashboard could not be updated:", error);
    }
  }

  showFigures({ statistics, orders_by_status: byStatus }) {
    const set = (id, text) => {
      const element = document.getElementById(id);
      if (element) element.textContent = text;
    };
    for (const name of ["total", "pending", "processing", "delivered", "cancelled"]) {
      set(`stat-${name}-orders`, statistics[`${name}_orders`]);
    }
    set("stat-total-revenue", `₱${statistics.total_revenue.toFixed(2)}`);
    for (const [code, { count }] of Object.entries(byStatus)) set(`status-count-${code}`, count);
  }

  showOrders(orders) {
    const body = document.getElementById("orders-table-tbody");
    body.innerHTML = orders.map((order) => this.row(order)).join("") ||
      '<tr><td colspan="7" class="text-center">No orders found</td></tr>';
  }

  row(order) {
    const address = `/orders/orders/${order.id}/`;
    const actions = order.status !== "pending" ? "" : `
      <a href="${address}edit/" class="btn btn-sm btn-outline-secondary">Edit</a>
      <a href="${address}cancel/" class="btn btn-sm btn-outline-danger">Cancel</a>`;
    return `<tr>
      <td><a href="${address}"><strong>${order.order_number}</strong></a></td>
      <td>${order.created_at_display}</td>
      <td><span class="badge bg-${this.statusColours[order.status] || "secondary"}">${order.status_display}</span></td>
      <td><span class="badge bg-${this.paymentColours[order.payment_status] || "secondary"}">${order.payment_status_display}</span></td>
      <td>${order.items_count} item${order.items_count === 1 ? "" : "s"}</td>
      <td>₱${order.total_amount.toFixed(2)}</td>
      <td><a href="${address}" class="btn btn-sm btn-outline-primary">View</a>${actions}</td>
    </tr>`;
  }
}

if (document.getElementById("sales-rep-orders-dashboard")) new SalesRepDashboard();
