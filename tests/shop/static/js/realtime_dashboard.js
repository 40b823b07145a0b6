// Asks the pharmacy's API every five seconds and writes the figures and the newest orders anew.
class PharmacistDashboard {
  constructor() {
    setInterval(() => this.update(), 5000);
    this.update();
  }

  async update() {
    try {
      const response = await fetch("/orders/api/pharmacist/dashboard/");
      if (!response.ok) return;
      this.show(await response.json());
    } catch (error) {
      console.error("The dashboard could not be updated:", error);
    }
  }

  show({ statistics, orders_by_status: byStatus, recent_orders: orders }) {
    const set = (id, text) => {
      const element = document.getElementById(id);
      if (element) element.textContent = text;
    };
    for (const name of ["total", "pending", "processing", "ready", "delivered", "cancelled"]) {
      set(`stat-${name}-orders`, statistics[`${name}_orders`]);
    }
    for (const [code, { count }] of Object.entries(byStatus)) set(`status-count-${code}`, count);
    document.getElementById("recent-orders-tbody").innerHTML = orders.map((order) => `<tr>
      <td><a href="/orders/pharmacist/orders/${order.id}/">${order.order_number}</a></td>
      <td>${order.customer_name}</td>
      <td>${order.sales_rep || "-"}</td>
      <td><span class="badge">${order.status_display}</span></td>
      <td><span class="badge">${order.payment_status_display}</span></td>
      <td>₱${order.total_amount.toFixed(2)}</td>
      <td>${new Date(order.created_at).toLocaleString()}</td>
    </tr>`).join("");
  }
}

if (document.getElementById("pharmacist-dashboard")) new PharmacistDashboard();
